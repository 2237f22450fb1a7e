"""The faulty server on Streamable HTTP, by hand, so that it can break HTTP too."""

import json
import sys
from typing import cast

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream
from typing_extensions import override

from tests.fakes.faulty.behaviour import GARBAGE, JSON, Faulty, NoAnswer, Peer

SESSION = "faulty-session"
_GONE = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
)


class Exchange(Peer):
    """One POST: answers as JSON, or as an event stream once something comes before the answer."""

    def __init__(self, stream: anyio.abc.ByteStream, face: "HttpFace") -> None:
        self.stream = stream
        self.face = face
        self.streaming = False

    async def head(self, status: str, kind: str, length: int | None) -> None:
        """Send the head of the response; without a length the body ends with the connection."""
        size = "" if length is None else f"Content-Length: {length}\r\n"
        text = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nMcp-Session-Id: {SESSION}\r\n"
            f"{size}Connection: close\r\n\r\n"
        )
        await self.stream.send(text.encode())

    async def _stream(self) -> None:
        if not self.streaming:
            self.streaming = True
            await self.head("200 OK", "text/event-stream", None)

    @override
    async def send(self, message: JSON) -> None:
        await self._stream()
        await self.stream.send(b"data: " + json.dumps(message).encode() + b"\n\n")

    @override
    async def garbage(self) -> None:
        await self._stream()
        await self.stream.send(b"data: " + GARBAGE + b"\n")

    @override
    async def drop(self) -> None:
        # A promise that is not kept: the body ends before its announced length.
        await self.head("200 OK", "application/json", 1_000_000)
        await self.stream.send(b'{"jsonrpc":')
        await self.stream.aclose()

    @override
    async def ask(self, method: str, params: JSON) -> JSON:
        self.face.asked += 1
        key = f"ask-{self.face.asked}"
        answered, answer = anyio.Event(), cast("JSON", {})
        self.face.waiting[key] = (answered, answer)
        await self.send({"jsonrpc": "2.0", "id": key, "method": method, "params": params})
        await answered.wait()
        return answer

    async def finish(self, message: JSON) -> None:
        """Send the final answer."""
        if self.streaming:
            await self.send(message)
            return
        body = json.dumps(message).encode()
        await self.head("200 OK", "application/json", len(body))
        await self.stream.send(body)


class HttpFace:
    """Serves one request a connection."""

    def __init__(self, server: Faulty) -> None:
        self.server = server
        self.waiting: dict[str, tuple[anyio.Event, JSON]] = {}
        self.asked = 0

    async def serve(self, port: int) -> None:
        """Serve on `http://127.0.0.1:port/mcp`; the URL goes to stdout."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
        bound: int = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django
        sys.stdout.write(f"http://127.0.0.1:{bound}/mcp\n")
        sys.stdout.flush()
        await listener.serve(self._connection)

    async def _connection(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                await self._exchange(stream)
            except* _GONE:
                pass

    async def _exchange(self, stream: anyio.abc.SocketStream) -> None:
        buffered = BufferedByteReceiveStream(stream)
        head = (await buffered.receive_until(b"\r\n\r\n", 65536)).decode("latin-1")
        lines = head.split("\r\n")
        fields = dict(line.lower().split(":", 1) for line in lines[1:])
        exchange = Exchange(stream, self)
        if not lines[0].startswith("POST"):
            status = "200 OK" if lines[0].startswith("DELETE") else "405 Method Not Allowed"
            await exchange.head(status, "text/plain", 0)
            return
        body = await buffered.receive_exactly(int(fields.get("content-length", "0")))
        await self._message(json.loads(body), exchange, stream)

    async def _message(
        self, message: JSON, exchange: Exchange, stream: anyio.abc.SocketStream
    ) -> None:
        if "method" not in message or "id" not in message:
            self._take(message)
            await exchange.head("202 Accepted", "text/plain", 0)
            return
        async with anyio.create_task_group() as group:
            group.start_soon(_watch, stream, group.cancel_scope)
            try:
                result = await self.server.handle(message, exchange)
            except NoAnswer:
                if not exchange.streaming:
                    await anyio.sleep_forever()
            else:
                answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
                await exchange.finish(answer)
            group.cancel_scope.cancel()

    def _take(self, message: JSON) -> None:
        waiting = self.waiting.pop(str(message.get("id")), None)
        if waiting is not None:
            waiting[1].update(message.get("result") or {})
            waiting[0].set()


async def _watch(stream: anyio.abc.SocketStream, scope: anyio.CancelScope) -> None:
    """Cancel the request when the client hangs up, as the stateless revision wants."""
    try:
        while True:
            await stream.receive()
    except _GONE:
        scope.cancel()
