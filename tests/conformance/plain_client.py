"""A plain MCP client on bare HTTP: JSON in, JSON out, nothing checked or dropped on the way.

The SDK's clients validate what they receive; this one does not, so that a test sees exactly what
the host sent. It speaks the handshake and the stateless revision, answers what the server asks
(accepting forms with their defaults) and keeps every notification.
"""

import json
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import anyio
import httpx

JSON = dict[str, Any]
STATELESS = "2026-07-28"
HANDSHAKE = "2025-11-25"
CAPABILITIES: JSON = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
CLIENT: JSON = {"name": "plain-client", "version": "1.0.0"}
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_TASKS = {"tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId"}


class RpcError(Exception):
    """The server answered with a JSON-RPC error, or with an HTTP status and no answer."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.data = data


def _defaults(schema: JSON) -> JSON:
    fields = cast("dict[str, JSON]", schema.get("properties", {}))
    return {name: value["default"] for name, value in fields.items() if "default" in value}


def accept(method: str, params: JSON) -> JSON:
    """Answer a question of the server the way an agreeable user does."""
    if method == "elicitation/create":
        return {"action": "accept", "content": _defaults(params.get("requestedSchema", {}))}
    if method == "sampling/createMessage":
        content = {"type": "text", "text": "Yes."}
        return {"role": "assistant", "content": content, "model": "m", "stopReason": "endTurn"}
    return {"roots": [{"uri": "file:///home/user/project", "name": "project"}]}


def header_value(value: object) -> str:
    """Return an argument as a header value; what HTTP would change goes as base64."""
    text = value if isinstance(value, str) else json.dumps(value)
    if text == text.strip() and text.isascii() and text.isprintable():
        return text
    return f"=?base64?{b64encode(text.encode()).decode()}?="


@dataclass
class PlainClient:
    """One connection to `url` at `revision`; make it with `plain_client`."""

    url: str
    revision: str
    http: httpx.AsyncClient
    answer: Callable[[str, JSON], JSON] = accept
    between_rounds: Callable[[], Awaitable[object]] | None = None
    capabilities: JSON = field(default_factory=lambda: dict(CAPABILITIES))
    notifications: list[JSON] = field(default_factory=list[JSON])
    server: JSON = field(default_factory=dict[str, Any])
    mirrored: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    session: str | None = None
    ids: "count[int]" = field(default_factory=lambda: count(1))

    @property
    def stateless(self) -> bool:
        """Whether every request carries its own envelope."""
        return self.revision == STATELESS

    async def request(self, method: str, params: JSON | None = None) -> JSON:
        """Send a request, go through every `input_required` round, return the final result.

        Raises:
            RpcError: The answer is an error.
        """
        sent: JSON = dict(params or {})
        while True:
            result = await self.round(method, sent)
            if result.get("resultType") != "input_required":
                return result
            if self.between_rounds is not None:
                await self.between_rounds()
            asked = cast("dict[str, JSON]", result.get("inputRequests") or {})
            answers = {k: self.answer(r["method"], r["params"]) for k, r in asked.items()}
            sent = {**(params or {}), "inputResponses": answers}
            if "requestState" in result:
                sent["requestState"] = result["requestState"]

    async def round(self, method: str, params: JSON) -> JSON:
        """Send one request and return its result, `input_required` or not."""
        body: JSON = {"jsonrpc": "2.0", "id": next(self.ids), "method": method}
        body["params"] = self._envelope(params) if self.stateless else params
        async for message in self._post(body, self._headers(method, params)):
            if message.get("id") == body["id"] and "method" not in message:
                if "error" in message:
                    error = message["error"]
                    raise RpcError(error["code"], error["message"], error.get("data"))
                return self._learn(method, message["result"])
            await self._take(message)
        raise RpcError(0, f"{method}: the stream ended without an answer")

    async def notify(self, method: str, params: JSON | None = None) -> None:
        """Send a notification."""
        body: JSON = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        async for message in self._post(body, self._headers(method, params or {})):
            await self._take(message)

    async def listen(self) -> None:
        """Read the standalone stream of a handshake session until it is cancelled."""
        headers = {**self._headers("", {}), "Accept": "text/event-stream"}
        async with self.http.stream("GET", self.url, headers=headers, timeout=None) as response:
            if response.is_success:
                async for message in _events(response):
                    await self._take(message)

    async def _take(self, message: JSON) -> None:
        """Keep a notification; answer a request of the server."""
        if "id" not in message:
            self.notifications.append(message)
        elif "method" in message:
            result = self.answer(message["method"], message.get("params") or {})
            reply: JSON = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            async for _ in self._post(reply, self._headers("", {})):
                pass

    def _learn(self, method: str, result: JSON) -> JSON:
        """Remember which arguments of the listed tools travel in headers as well."""
        tools = cast("list[JSON]", result["tools"] if method == "tools/list" else [])
        for tool in tools:
            fields = cast("dict[str, JSON]", tool["inputSchema"].get("properties", {}))
            found = {n: v["x-mcp-header"] for n, v in fields.items() if v.get("x-mcp-header")}
            self.mirrored[tool["name"]] = found
        return result

    def _envelope(self, params: JSON) -> JSON:
        meta: JSON = {
            "io.modelcontextprotocol/protocolVersion": self.revision,
            "io.modelcontextprotocol/clientInfo": CLIENT,
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        }
        return {**params, "_meta": {**meta, **params.get("_meta", {})}}

    def _headers(self, method: str, params: JSON) -> dict[str, str]:
        headers = {"Accept": "application/json, text/event-stream"}
        if self.stateless:
            headers |= {"MCP-Protocol-Version": self.revision, "Mcp-Method": method}
            if name := {**_NAMED, **_TASKS}.get(method):
                headers["Mcp-Name"] = header_value(params[name])
            arguments = cast("JSON", params.get("arguments") or {})
            for field_name, suffix in self.mirrored.get(params.get("name", ""), {}).items():
                if arguments.get(field_name) is not None:
                    headers[f"Mcp-Param-{suffix}"] = header_value(arguments[field_name])
        elif self.session is not None:
            headers |= {"MCP-Protocol-Version": self.revision, "Mcp-Session-Id": self.session}
        return headers

    async def _post(self, body: JSON, headers: Mapping[str, str]) -> AsyncIterator[JSON]:
        async with self.http.stream("POST", self.url, json=body, headers=headers) as response:
            self.session = response.headers.get("mcp-session-id", self.session)
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                async for message in _events(response):
                    yield message
                return
            text = await response.aread()
        if text.strip():
            try:
                yield json.loads(text)
            except ValueError:
                raise RpcError(response.status_code, text.decode(errors="replace")) from None
        elif response.is_error:
            raise RpcError(response.status_code, "an HTTP error without a body")

    async def connect(self) -> None:
        """Do the handshake, or the discovery of the stateless revision."""
        if self.stateless:
            self.server = await self.request("server/discover")
            return
        self.server = await self.request(
            "initialize",
            {
                "protocolVersion": self.revision,
                "capabilities": self.capabilities,
                "clientInfo": CLIENT,
            },
        )
        await self.notify("notifications/initialized")


async def _events(response: httpx.Response) -> AsyncGenerator[JSON]:
    data: list[str] = []
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            data.append(line[5:].strip())
        elif not line and data:
            text, data = "\n".join(data), []
            if text:
                yield json.loads(text)


@asynccontextmanager
async def plain_client(
    url: str, revision: str, *, token: str | None = None, seconds: float = 60
) -> AsyncGenerator[PlainClient]:
    """Connect to `url`; over the handshake the standalone stream is read as well."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(timeout=seconds, headers=headers, trust_env=False) as http:
        client = PlainClient(url, revision, http)
        await client.connect()
        async with anyio.create_task_group() as group:
            if not client.stateless:
                group.start_soon(client.listen)
            yield client
            group.cancel_scope.cancel()
