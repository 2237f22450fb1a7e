"""The features of a server as the Python SDK's and fastmcp's clients see them, in both eras."""

import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
import fastmcp
import mcp_types as types
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp import Client, ClientSession, StdioServerParameters
from mcp.client.subscriptions import listen
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPDeprecationWarning

from tests.clients.target import ANSWER, JSON, WATCHED, HttpTarget, Target

MODES: dict[str, Any] = {"handshake": "legacy", "stateless": "auto"}


class Call(Protocol):
    """Calls a tool through one of the two client libraries."""

    async def __call__(
        self, name: str, arguments: JSON, progress: ProgressFnT | None = None
    ) -> types.CallToolResult:
        """Return the tool's result."""
        ...


@dataclass
class Updates:
    """The first resource that the server said has changed."""

    uri: str = ""
    heard: anyio.Event = field(default_factory=anyio.Event)

    async def __call__(self, message: object) -> None:
        """Take a message of the server."""
        if isinstance(message, types.ResourceUpdatedNotification):
            self.uri = str(message.params.uri)
            self.heard.set()


@dataclass
class Opened:
    """A connected client."""

    session: ClientSession
    call: Call
    stateless: bool
    updates: Updates


async def _fill_in(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content=dict(ANSWER))


async def _fill_in_form(*_: object) -> JSON:
    return dict(ANSWER)


@asynccontextmanager
async def open_sdk(target: Target, era: str) -> AsyncGenerator[Opened]:
    """Connect with the Python SDK's `Client`."""
    updates = Updates()
    server = (
        target.url
        if isinstance(target, HttpTarget)
        else StdioServerParameters(command=target.command, args=target.args, env=target.env)
    )
    async with Client(
        server,
        mode=MODES[era],
        cache=None,
        elicitation_callback=_fill_in,
        message_handler=updates,
        read_timeout_seconds=90,
    ) as client:

        async def call(
            name: str, arguments: JSON, progress: ProgressFnT | None = None
        ) -> types.CallToolResult:
            return await client.call_tool(name, arguments, progress_callback=progress)

        yield Opened(client.session, call, era == "stateless", updates)


@asynccontextmanager
async def open_fastmcp(target: Target, era: str) -> AsyncGenerator[Opened]:
    """Connect with fastmcp's `Client`."""
    updates = Updates()
    transport = (
        StreamableHttpTransport(target.url)
        if isinstance(target, HttpTarget)
        else StdioTransport(target.command, target.args, env=target.env, keep_alive=False)
    )
    async with fastmcp.Client(
        transport,
        mode=MODES[era],
        elicitation_handler=_fill_in_form,
        message_handler=updates,
        timeout=90,
    ) as client:

        async def call(
            name: str, arguments: JSON, progress: ProgressFnT | None = None
        ) -> types.CallToolResult:
            return await client.call_tool_mcp(name, arguments, progress_handler=progress)

        yield Opened(client.session, call, era == "stateless", updates)


Open = Callable[[Target, str], AbstractAsyncContextManager[Opened]]


def _text(result: types.CallToolResult) -> str:
    block = result.content[0]
    assert isinstance(block, types.TextContent)
    return block.text


async def _connect(client: Opened) -> JSON:
    capabilities = client.session.server_capabilities
    as_wanted = client.stateless == (client.session.protocol_version == "2026-07-28")
    return {"server": as_wanted and capabilities is not None and capabilities.tools is not None}


async def _list(client: Opened) -> JSON:
    session = client.session
    return {
        "tools": [tool.name for tool in (await session.list_tools()).tools],
        "resources": [str(r.uri) for r in (await session.list_resources()).resources],
        "templates": [
            t.uri_template for t in (await session.list_resource_templates()).resource_templates
        ],
        "prompts": [prompt.name for prompt in (await session.list_prompts()).prompts],
    }


async def _call(client: Opened) -> JSON:
    result = await client.call("echo", {"text": "hé"})
    return {"text": _text(result), "structured": result.structured_content}


async def _elicit(client: Opened) -> JSON:
    return {"text": _text(await client.call("test_elicitation", {"message": "Who?"}))}


async def _progress(client: Opened) -> JSON:
    seen: list[list[float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append([progress, total])

    await client.call("test_tool_with_progress", {}, progress=note)
    return {"seen": seen}


async def _cancelled_calls(client: Opened) -> int:
    return int(_text(await client.call("test_cancelled_calls", {})))


async def _cancel(client: Opened) -> JSON:
    before = await _cancelled_calls(client)
    with anyio.CancelScope() as scope:

        async def stop(progress: float, total: float | None, message: str | None) -> None:
            scope.cancel()

        await client.call("test_slow", {"seconds": 60}, progress=stop)
    while await _cancelled_calls(client) == before:  # noqa: ASYNC110 - another process counts
        await anyio.sleep(0.02)
    return {"rejected": scope.cancelled_caught, "upstream": "cancelled"}


async def _subscribe(client: Opened) -> JSON:
    if client.stateless:
        async with listen(client.session, resource_subscriptions=[WATCHED]) as changes:
            await client.call("touch_resource", {"uri": WATCHED})
            async for change in changes:
                return {"updated": str(getattr(change, "uri", ""))}
    await client.session.subscribe_resource(WATCHED)  # pyright: ignore[reportDeprecated] - handshake
    await client.call("touch_resource", {"uri": WATCHED})
    await client.updates.heard.wait()
    return {"updated": client.updates.uri}


FEATURES: dict[str, Callable[[Opened], Awaitable[JSON]]] = {
    "connect": _connect,
    "list": _list,
    "call": _call,
    "elicit": _elicit,
    "progress": _progress,
    "cancel": _cancel,
    "subscribe": _subscribe,
}


def observe(open_client: Open, era: str, feature: str, target: Target) -> JSON:
    """Use one feature of the server at `target` and return what was observed."""

    async def run() -> JSON:
        with anyio.fail_after(100):
            async with open_client(target, era) as client:
                return await FEATURES[feature](client)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        return anyio.run(run)
