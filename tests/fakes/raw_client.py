"""MCP clients that speak plain JSON-RPC, so that a test sees every message and may say anything."""

import asyncio
import contextlib
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from typing_extensions import override

from host.domain.jsonrpc import RpcError
from host.domain.protocol import NAMED_METHODS

Json = dict[str, Any]
Answer = Callable[[str, Json], Awaitable[Json]]
META = "io.modelcontextprotocol/"
ALL: Json = {"elicitation": {}, "sampling": {}, "roots": {"listChanged": True}}
"""Client capabilities of somebody who answers everything."""


async def refuse(method: str, params: Json) -> Json:
    """Answer no question."""
    raise RpcError(-32601, f"nobody answers {method}")


async def accept(method: str, params: Json) -> Json:
    """Answer every question, repeating what it was about."""
    if method == "elicitation/create":
        return {"action": "accept", "content": {"said": params["message"]}}
    if method == "sampling/createMessage":
        content = {"type": "text", "text": "sampled"}
        return {"role": "assistant", "content": content, "model": "m", "x-unknown": 1.0}
    return {"roots": [{"uri": "file:///here"}]}


class RawClient(ABC):
    """What all three clients share.

    Attributes:
        notes: Every notification received, in order.
        log: Every message received, in order.
    """

    stateless = False

    def __init__(self, answer: Answer = refuse, capabilities: Json | None = None) -> None:
        self.answer = answer
        self.capabilities = capabilities or {}
        self.ids = itertools.count(1)
        self.notes: list[Json] = []
        self.log: list[Json] = []
        self.changed = asyncio.Condition()
        self.last_id: int | str = 0

    @abstractmethod
    async def request(self, method: str, params: Json | None = None, **options: Any) -> Json:
        """Return a result; raises RpcError."""

    async def call(self, name: str, arguments: Json | None = None, **params: Any) -> Json:
        return await self.request(
            "tools/call", {"name": name, "arguments": arguments or {}, **params}
        )

    async def take(self, message: Json) -> None:
        """Keep a message; answer it if it is a question."""
        self.log.append(message)
        if "method" in message and "id" not in message:
            self.notes.append(message)
        async with self.changed:
            self.changed.notify_all()

    def noted(self, method: str) -> list[Json]:
        return [note.get("params") or {} for note in self.notes if note["method"] == method]

    async def wait_note(self, method: str, count: int = 1) -> list[Json]:
        """Wait until a notification came so often; return their params."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.noted(method)) >= count)
        return self.noted(method)

    async def answer_to(self, question: Json) -> Json:
        """Return the response to a question of the host."""
        base = {"jsonrpc": "2.0", "id": question["id"]}
        try:
            return {
                **base,
                "result": await self.answer(question["method"], question.get("params") or {}),
            }
        except RpcError as error:
            return {**base, "error": error.to_wire()}


class DuplexClient(RawClient):
    """A handshake client; subclasses carry the messages."""

    def __init__(self, answer: Answer = refuse, capabilities: Json | None = None) -> None:
        super().__init__(answer, capabilities)
        self.waiting: dict[Any, asyncio.Future[Json]] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def post(self, message: Any) -> None:
        """Send a message."""

    async def initialize(self) -> Json:
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": self.capabilities,
            "clientInfo": {"name": "raw", "version": "1"},
        }
        result = await self.request("initialize", params)
        await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return result

    @override
    async def request(
        self,
        method: str,
        params: Json | None = None,
        *,
        request_id: Any = None,
        **options: Any,
    ) -> Json:
        self.last_id = request_id = next(self.ids) if request_id is None else request_id
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.waiting[request_id] = future
        message: Json = {"jsonrpc": "2.0", "id": request_id, "method": method}
        await self.post(message if params is None else {**message, "params": params})
        return unwrap(await future)

    @override
    async def take(self, message: Json) -> None:
        await super().take(message)
        if "method" in message and "id" in message:
            task = asyncio.ensure_future(self._reply(message))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        elif "method" not in message:
            future = self.waiting.pop(message.get("id"), None)
            if future is not None and not future.done():
                future.set_result(message)

    async def _reply(self, question: Json) -> None:
        await self.post(await self.answer_to(question))


class LineClient(DuplexClient):
    """A client on the daemon's private socket, as the bridge is.

    Attributes:
        left: Set once the host closed its end.
    """

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, path: Path, answer: Answer = refuse, *, hello: Json | None = None, **capabilities: Any
    ) -> AsyncGenerator["LineClient"]:
        client = cls(answer, capabilities)
        reader, client.writer = await asyncio.open_unix_connection(path, limit=1 << 30)
        client.left = asyncio.Event()
        client.writer.write(json.dumps(hello or {"hello": "mcp"}).encode() + b"\n")
        task = asyncio.ensure_future(client.read(reader))
        try:
            yield client
        finally:
            client.writer.close()
            await task

    writer: asyncio.StreamWriter
    left: asyncio.Event

    async def read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line.strip():  # the host's welcome is an empty line
                    await self.take(json.loads(line))
        self.left.set()

    @override
    async def post(self, message: Any) -> None:
        self.writer.write(
            message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
        )
        await self.writer.drain()


class HttpClient(DuplexClient):
    """A handshake client over HTTP, with its standing stream open."""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, url: str, answer: Answer = refuse, *, token: str = "", **capabilities: Any
    ) -> AsyncGenerator["HttpClient"]:
        client = cls(answer, capabilities)
        client.url = url
        client.headers = {"accept": "application/json, text/event-stream"}
        if token:
            client.headers["authorization"] = f"Bearer {token}"
        client.standing = asyncio.Event()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as client.http:
            await client.initialize()
            task = asyncio.ensure_future(client.stand())
            await client.standing.wait()
            try:
                yield client
            finally:
                for one in [task, *client.tasks]:
                    one.cancel()
                await asyncio.wait([task, *client.tasks])

    url: str
    headers: dict[str, str]
    http: aiohttp.ClientSession
    standing: asyncio.Event

    async def stand(self) -> None:
        headers = {**self.headers, "accept": "text/event-stream"}
        async with self.http.get(self.url, headers=headers) as reply:
            self.standing.set()
            async for event in events(reply):
                await self.take(event)

    @override
    async def post(self, message: Any) -> None:
        if "method" in message and "id" in message:
            task = asyncio.ensure_future(self._post(message))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        else:
            await self._post(message)

    async def _post(self, message: Json) -> None:
        async with self.http.post(self.url, json=message, headers=self.headers) as reply:
            if "mcp-session-id" in reply.headers:
                self.headers["mcp-session-id"] = reply.headers["mcp-session-id"]
                self.headers["mcp-protocol-version"] = "2025-11-25"
            if reply.content_type == "text/event-stream":
                async for event in events(reply):
                    await self.take(event)
            elif body := await reply.read():
                await self.take(json.loads(body))


class StatelessClient(RawClient):
    """A client of the stateless era over HTTP; it answers `input_required` by itself."""

    stateless = True

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, url: str, answer: Answer = refuse, *, token: str = "", **capabilities: Any
    ) -> AsyncGenerator["StatelessClient"]:
        client = cls(answer, capabilities)
        client.url = url
        client.headers = {"authorization": f"Bearer {token}"} if token else {}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as client.http:
            yield client

    url: str
    headers: dict[str, str]
    http: aiohttp.ClientSession

    @override
    async def request(
        self, method: str, params: Json | None = None, *, rounds: int = 9, **options: Any
    ) -> Json:
        result = await self.once(method, params or {}, **options)
        for _ in range(rounds):
            if result.get("resultType") != "input_required":
                break
            answers = {
                key: (await self.answer_to({"id": key, **question}))["result"]
                for key, question in result["inputRequests"].items()
            }
            again = {**(params or {}), "inputResponses": answers}
            if "requestState" in result:
                again["requestState"] = result["requestState"]
            result = await self.once(method, again, **options)
        return result

    async def once(self, method: str, params: Json, *, level: str = "") -> Json:
        """Send one request without answering questions."""
        async with self.send(method, params, level=level) as reply:
            if reply.content_type != "text/event-stream":
                return unwrap(json.loads(await reply.read()))
            async for event in events(reply):
                await self.take(event)
                if "method" not in event:
                    return unwrap(event)
        raise RpcError(-32000, "the stream ended without an answer")

    @contextlib.asynccontextmanager
    async def send(
        self, method: str, params: Json, *, level: str = ""
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        meta = {
            META + "protocolVersion": "2026-07-28",
            META + "clientCapabilities": self.capabilities,
            META + "clientInfo": {"name": "raw", "version": "1"},
            **({META + "logLevel": level} if level else {}),
            **params.get("_meta", {}),
        }
        self.last_id = request_id = next(self.ids)
        body = {
            "jsonrpc": "2.0",
            "id": request_id,
            "method": method,
            "params": {**params, "_meta": meta},
        }
        headers = {
            **self.headers,
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": method,
        }
        named = params.get(NAMED_METHODS.get(method, ""))
        if isinstance(named, str) and named:
            headers["mcp-name"] = named
        async with self.http.post(self.url, json=body, headers=headers) as reply:
            yield reply

    @contextlib.asynccontextmanager
    async def listening(self, notifications: Json) -> AsyncGenerator[None]:
        """Hold a listen stream open, once it was acknowledged."""
        async with self.send("subscriptions/listen", {"notifications": notifications}) as reply:
            task = asyncio.ensure_future(self._listen(reply))
            await self.wait_note("notifications/subscriptions/acknowledged")
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def _listen(self, reply: aiohttp.ClientResponse) -> None:
        async for event in events(reply):
            await self.take(event)


def unwrap(message: Json) -> Json:
    """Return a response's result, or raise its error."""
    if "error" in message:
        raise RpcError.from_wire(message["error"])
    return message["result"]


async def events(reply: aiohttp.ClientResponse) -> AsyncIterator[Json]:
    """Yield the messages of an event stream."""
    buffer = b""
    async for chunk in reply.content.iter_any():
        *blocks, buffer = (buffer + chunk).split(b"\n\n")
        for block in blocks:
            data = b"".join(
                line[6:] for line in block.split(b"\n") if line.startswith(b"data: ") and line[6:]
            )
            if data:
                yield json.loads(data)
