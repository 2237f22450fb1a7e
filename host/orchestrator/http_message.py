"""One HTTP request as the endpoint sees it: headers, a bounded body, and the ways to answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from host.domain.jsonrpc import Json, RequestId, RpcError, encode, failure

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
EVENT_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
BODY_WAIT = 60.0
"""Seconds without a byte after which a body is given up."""
PING = b": ping\n\n"
PING_INTERVAL = 15.0
"""Seconds of silence after which a stream says that it is still there."""


class BodyTooLargeError(Exception):
    """The body has more bytes than allowed."""


@dataclass(slots=True)
class HttpMessage:
    """One request.

    Attributes:
        headers: By name in lower case; a header that came twice holds a line break.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    receive: Receive
    _send: Send
    session_id: str | None = None
    """Put into the response's `Mcp-Session-Id`."""
    streaming: bool = False
    """Whether an event stream was begun."""

    @classmethod
    def of(cls, scope: Scope, receive: Receive, send: Send) -> "HttpMessage":
        """Return the request of an ASGI call."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}\n{value}" if name in headers else value
        return cls(scope["method"], scope["path"], headers, receive, send)

    def accepts(self) -> tuple[bool, bool]:
        """Return whether the client takes JSON, and whether it takes an event stream."""
        return _accepts(self.headers.get("accept", "*/*"))

    def carries_json(self) -> bool:
        """Return whether the body is said to be JSON."""
        said = self.headers.get("content-type", "")
        return said.partition(";")[0].strip().lower() == "application/json"

    async def body(self, limit: int) -> bytes:
        """Return the body.

        Raises:
            BodyTooLargeError: It has more than `limit` bytes.
            ConnectionError: The client left, or sends nothing more for too long.
        """
        length = self.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            raise BodyTooLargeError
        parts: list[bytes] = []
        size = 0
        while True:
            try:
                async with asyncio.timeout(BODY_WAIT):
                    event = await self.receive()
            except TimeoutError:
                raise ConnectionError from None
            if event["type"] == "http.disconnect":
                raise ConnectionError
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise BodyTooLargeError
            if not event.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def gone(self) -> None:
        """Return once the client has left."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def answer(
        self, status: int, body: bytes = b"", headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Send a whole response."""
        all_headers = [(b"content-length", str(len(body)).encode()), *(headers or [])]
        if body and not any(name == b"content-type" for name, _ in all_headers):
            all_headers.append((b"content-type", JSON))
        if self.session_id is not None:
            all_headers.append((b"mcp-session-id", self.session_id.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": all_headers})
        await self._send({"type": "http.response.body", "body": body})

    async def answer_error(
        self, status: int, error: RpcError, request_id: RequestId | None = None
    ) -> None:
        """Send a JSON-RPC error with an HTTP status."""
        await self.answer(status, encode(failure(request_id, error)))

    async def start_stream(self) -> None:
        """Begin an event stream."""
        self.streaming = True
        headers = list(EVENT_STREAM_HEADERS)
        if self.session_id is not None:
            headers.append((b"mcp-session-id", self.session_id.encode()))
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def stream(self, data: bytes, *, more: bool = True) -> None:
        """Send a part of an event stream."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


@lru_cache(maxsize=256)
def _accepts(header: str) -> tuple[bool, bool]:
    accepted = {part.partition(";")[0].strip().lower() for part in header.split(",")}
    wild = "*/*" in accepted
    takes_json = wild or not accepted.isdisjoint({"application/json", "application/*"})
    return takes_json, wild or not accepted.isdisjoint({"text/event-stream", "text/*"})


async def until_first(*waits: Awaitable[object]) -> None:
    """Return when the first of some waits is over, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def plain(message: str) -> Json:
    """Return the body of an answer that is not JSON-RPC."""
    return {"error": message}
