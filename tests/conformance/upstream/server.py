"""The conformance upstream as a low-level MCP server: its handlers and what wraps them."""

import warnings
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.server import Server
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel import NotificationOptions
from mcp.server.models import InitializationOptions
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPDeprecationWarning
from typing_extensions import override

from tests.conformance.upstream import asking_tools, plain_tools, typed_tools
from tests.conformance.upstream.call import Call, InputNeeded, ToolError
from tests.conformance.upstream.catalog import (
    TEMPLATES,
    complete,
    get_prompt,
    list_prompts,
    list_resources,
    read_resource,
)
from tests.conformance.upstream.content import result, text
from tests.conformance.upstream.hub import JSON, Context, Hub
from tests.conformance.upstream.tasks import add_tasks
from tests.conformance.upstream.tool import EMPTY, TOOLS, UpstreamTool

MODULES = (plain_tools, typed_tools, asking_tools)
"""Importing them fills `TOOLS`."""

ODD_TOOL: JSON = {
    "name": "test_unknown_fields",
    "description": "Has fields that no revision defines, here and in its result.",
    "inputSchema": EMPTY,
    "x-vendor": {"answer": 42},
}
ODD_RESULT: JSON = {
    "content": [text("Known."), {"type": "x-vendor/sketch", "strokes": [1, 2]}],
    "x-vendor-result": {"answer": 42},
}
CACHE_HINTS: dict[CacheableMethod, CacheHint] = {
    "tools/list": CacheHint(ttl_ms=1000, scope="public"),
    "prompts/list": CacheHint(ttl_ms=1000, scope="public"),
    "resources/list": CacheHint(),
    "resources/templates/list": CacheHint(),
    "resources/read": CacheHint(ttl_ms=500),
}
EXTRA_TOOL: JSON = {"name": "test_extra", "description": "Comes and goes.", "inputSchema": EMPTY}


class Upstream(Server[Hub]):
    """The server; it announces that its lists change."""

    @override
    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        changes = notification_options or NotificationOptions(
            prompts_changed=True, resources_changed=True, tools_changed=True
        )
        return super().create_initialization_options(changes, experimental_capabilities, extensions)


def _done(answer: JSON) -> JSON:
    return {"resultType": "complete", **answer}


async def _answer(run: Callable[[Call], Awaitable[JSON]], call: Call) -> JSON:
    try:
        return _done(await run(call))
    except InputNeeded as needed:
        state = {} if needed.state is None else {"requestState": needed.state}
        return {"resultType": "input_required", "inputRequests": needed.requests, **state}


def _responses(params: types.InputResponseRequestParams) -> JSON:
    given = params.input_responses or {}
    return {
        k: v.model_dump(mode="json", by_alias=True, exclude_none=True) for k, v in given.items()
    }


def _call(
    ctx: Context, name: str, params: types.InputResponseRequestParams, *, sealed: bool = False
) -> Call:
    arguments: JSON = dict(getattr(params, "arguments", None) or {})
    return Call(ctx, name, arguments, _responses(params), params.request_state, sealed)


def _check(entry: UpstreamTool, arguments: JSON) -> None:
    required: list[str] = entry.definition["inputSchema"].get("required", [])
    if absent := [name for name in required if name not in arguments]:
        raise ToolError(f"{entry.name} needs the arguments {', '.join(absent)}.")


class Handlers:
    """The request handlers; `page` tools are listed at once, None lists all."""

    def __init__(self, page: int | None) -> None:
        self.page = page

    async def list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None) -> Any:
        tools = [entry.definition for entry in TOOLS.values()] + [ODD_TOOL]
        tools += [EXTRA_TOOL] if ctx.lifespan_context.extra_tool else []
        start = int(params.cursor) if params and params.cursor else 0
        end = len(tools) if self.page is None else start + self.page
        more = {"nextCursor": str(end)} if end < len(tools) else {}
        return _done({"tools": tools[start:end], **more})

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        if params.name == EXTRA_TOOL["name"] and ctx.lifespan_context.extra_tool:
            return _done(result(text("Here for now.")))
        entry = TOOLS.get(params.name)
        if entry is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        call = _call(ctx, params.name, params, sealed=entry.sealed)
        try:
            _check(entry, call.arguments)
            return await _answer(entry.run, call)
        except ToolError as error:
            return _done(result(text(str(error)), isError=True))

    async def list_resources(self, ctx: Context, params: Any) -> Any:
        return _done({"resources": list_resources(ctx.lifespan_context)})

    async def list_templates(self, ctx: Context, params: Any) -> Any:
        return _done({"resourceTemplates": TEMPLATES})

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> Any:
        return await _answer(read_resource, _call(ctx, str(params.uri), params))

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> Any:
        ctx.lifespan_context.session(ctx).uris.add(str(params.uri))
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> Any:
        ctx.lifespan_context.session(ctx).uris.discard(str(params.uri))
        return types.EmptyResult()

    async def list_prompts(self, ctx: Context, params: Any) -> Any:
        return _done({"prompts": list_prompts(ctx.lifespan_context)})

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> Any:
        return await _answer(get_prompt, _call(ctx, params.name, params))

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> Any:
        dumped = params.model_dump(by_alias=True, exclude_none=True)
        return _done(complete(dumped["ref"], dumped["argument"]))

    async def set_level(self, ctx: Context, params: types.SetLevelRequestParams) -> Any:
        ctx.lifespan_context.session(ctx).level = params.level
        return types.EmptyResult()


async def _remember_session(ctx: Context, call_next: CallNext) -> HandlerResult:
    if ctx.method == "notifications/initialized":
        ctx.lifespan_context.session(ctx)
    return await call_next(ctx)


async def _add_unknown_fields(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Add what the SDK drops from results: fields and content types of no known revision."""
    name = (ctx.params or {}).get("name") if ctx.method == "tools/call" else None
    if name == ODD_TOOL["name"]:
        return {"resultType": "complete", **ODD_RESULT}
    answer = await call_next(ctx)
    if ctx.method == "tools/list" and isinstance(answer, dict):
        tools = [{**t, **ODD_TOOL} if t["name"] == ODD_TOOL["name"] else t for t in answer["tools"]]
        return {**answer, "tools": tools}
    return answer


def build_upstream(hub: Hub, *, page: int | None = None) -> Upstream:
    """Return the server over `hub`, with `page` tools to a page of `tools/list`."""

    def lifespan(_: Server[Hub]) -> AbstractAsyncContextManager[Hub]:
        return hub.running()

    handlers = Handlers(page)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        server = Upstream(  # pyright: ignore[reportDeprecated] - older clients set levels
            "conformance-upstream",
            version="1.0.0",
            title="Conformance upstream",
            instructions="Every feature of MCP, for tests.",
            cache_hints=CACHE_HINTS,
            lifespan=lifespan,
            on_list_tools=handlers.list_tools,
            on_call_tool=handlers.call_tool,
            on_list_resources=handlers.list_resources,
            on_list_resource_templates=handlers.list_templates,
            on_read_resource=handlers.read_resource,
            on_subscribe_resource=handlers.subscribe,
            on_unsubscribe_resource=handlers.unsubscribe,
            on_subscriptions_listen=ListenHandler(hub.bus),
            on_list_prompts=handlers.list_prompts,
            on_get_prompt=handlers.get_prompt,
            on_completion=handlers.complete,
            on_set_logging_level=handlers.set_level,
        )
    server.middleware += [_remember_session, _add_unknown_fields]
    add_tasks(server)
    return server
