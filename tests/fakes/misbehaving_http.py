"""Serves `Misbehaviour` over Streamable HTTP and legacy SSE, in the test's own process."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any

from tests.fakes.misbehaviour import Json, Misbehaviour, Peer
from tests.fakes.web import serve_web

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Queue = asyncio.Queue[bytes | None]


class MisbehavingHttp:
    """The ASGI application.

    Attributes:
        sessions: The sessions that it knows; clear them to let every session expire.
        redirect: Where posts are redirected to; None serves them.
        cut_after: Close each response stream after so many events; 0 does not.
        swallow: Whether notifications are never answered.
        held: Cancellations are taken once it is set; None takes them at once.
    """

    def __init__(self, server: Misbehaviour) -> None:
        self.server = server
        server.broadcast = self.broadcast
        self.sessions: set[str] = set()
        self.standing: list[Queue] = []
        self.redirect: str | None = None
        self.cut_after = 0
        self.swallow = False
        self.held: asyncio.Event | None = None
        self.backlog: list[bytes] = []
        self.queues: list[Queue] = []

    def broadcast(self, message: Any) -> None:
        for queue in self.standing:
            queue.put_nowait(render(message))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if scope["path"] == "/elsewhere":
            await self.server.note("elsewhere", headers)
        if scope["method"] == "GET":
            await self.get(scope, headers, receive, send)
        elif scope["method"] == "DELETE":
            self.sessions.discard(headers.get("mcp-session-id", ""))
            await respond(send, 200)
        else:
            message = json.loads(await read_body(receive))
            await self.post(scope, headers, message, receive, send)

    async def get(
        self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        if headers.get("last-event-id", "").startswith("cut-"):
            await self.server.note("resumed", headers["last-event-id"])
            self.cut_after = 0
            queue: Queue = asyncio.Queue()
            for event in [*self.backlog, None]:
                queue.put_nowait(event)
            await pump(queue, receive, send)
            return
        if scope["path"] != "/sse" and headers.get("mcp-session-id", "") not in self.sessions:
            await respond(send, 404)
            return
        queue = asyncio.Queue()
        if scope["path"] == "/sse":
            queue.put_nowait(b"event: endpoint\ndata: /messages\n\n")
        self.standing.append(queue)
        await self.server.note("standing")
        try:
            await pump(queue, receive, send)
        finally:
            self.standing.remove(queue)

    async def post(
        self, scope: Scope, headers: dict[str, str], message: Json, receive: Receive, send: Send
    ) -> None:
        stateless = headers.get("mcp-protocol-version") == "2026-07-28"
        session = headers.get("mcp-session-id", "")
        if self.redirect is not None:
            await respond(send, 307, location=self.redirect)
        elif scope["path"] == "/messages":
            await self.server.receive(message, Peer(self.broadcast, stateless=False))
            await respond(send, 202)
        elif (
            not stateless and message.get("method") != "initialize" and session not in self.sessions
        ):
            await respond(send, 404 if session else 400)
        elif "id" not in message or "method" not in message:
            if self.held is not None and message.get("method") == "notifications/cancelled":
                await self.server.note("held")
                await self.held.wait()
            await self.server.receive(message, Peer(self.broadcast, stateless=False))
            if self.swallow:
                await self.server.note("swallowed")
                await gone(receive)
            await respond(send, 202)
        else:
            await self.stream(message, receive, send)

    async def stream(self, message: Json, receive: Receive, send: Send) -> None:
        """Answer a request by an event stream; closing it cancels a stateless one."""
        queue: Queue = asyncio.Queue()
        new_session = {}
        if message["method"] == "initialize" and self.server.era != "stateless":
            session = secrets.token_hex(8)
            self.sessions.add(session)
            new_session = {"mcp-session-id": session}

        def say(body: Any) -> None:
            queue.put_nowait(render(body))
            if isinstance(body, dict) and ("result" in body or "error" in body):
                queue.put_nowait(None)

        await self.server.receive(message, Peer(say, stateless=False))
        task = self.server.running[message["id"]]
        finished = await pump(queue, receive, send, cut=self.cut_after, **new_session)
        if self.cut_after:
            while (event := await queue.get()) is not None:
                self.backlog.append(event)
        elif not finished and "protocolVersion" in str(message.get("params")):
            task.cancel()


def render(message: Any) -> bytes:
    if isinstance(message, str):
        return b"data: " + message.encode() + b"\n\n"
    return b"data: " + json.dumps(message).encode() + b"\n\n"


async def pump(queue: Queue, receive: Receive, send: Send, cut: int = 0, **headers: str) -> bool:
    """Send what comes until None does, or the client leaves; return whether it stayed."""
    own = [(b"content-type", b"text/event-stream")]
    own += [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": own})
    await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
    left = asyncio.ensure_future(gone(receive))
    count = 0
    try:
        while True:
            item = asyncio.ensure_future(queue.get())
            await asyncio.wait({item, left}, return_when=asyncio.FIRST_COMPLETED)
            if left.done():
                item.cancel()
                return False
            data = item.result()
            if data is None:
                break
            count += 1
            prefix = b"id: cut-%d\nretry: 10\n" % count if cut else b""
            await send({"type": "http.response.body", "body": prefix + data, "more_body": True})
            if count == cut:
                break
    finally:
        left.cancel()
    await send({"type": "http.response.body", "body": b""})
    return True


async def gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        event = await receive()
        parts.append(event.get("body", b""))
        if not event.get("more_body"):
            return b"".join(parts)


async def respond(send: Send, status: int, **headers: str) -> None:
    own = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def serve_misbehaviour(**options: Any) -> AsyncGenerator[tuple[MisbehavingHttp, str]]:
    """Serve on a free port; yield the application and its address without a path."""
    app = MisbehavingHttp(Misbehaviour(**options))
    async with serve_web(app) as url:
        yield app, url
