"""A lean MCP load client: prebuilt bytes over bare sockets and pipes, so that it is not measured.

It is no MCP client beyond that: it does one handshake, calls one tool over and over and checks
that every answer is a result with the expected text.
"""

import asyncio
import json
import re
from abc import abstractmethod
from asyncio.subprocess import Process
from collections.abc import Mapping
from itertools import count
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from typing_extensions import override

HANDSHAKE, STATELESS = "2025-11-25", "2026-07-28"
_CLIENT = {"name": "bench", "version": "1"}
_ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": STATELESS,
    "io.modelcontextprotocol/clientInfo": _CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_INITIALIZE = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": _CLIENT}
_ID = re.compile(rb'"id":\s*(\d+)')
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_SESSION = re.compile(rb"mcp-session-id:\s*(\S+)", re.IGNORECASE)
READ_LIMIT = 16 * 1024 * 1024


class BenchError(Exception):
    """A server answered with something else than the expected result."""


def request(number: int, method: str, params: Mapping[str, Any]) -> bytes:
    """Return one JSON-RPC request."""
    body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(body, separators=(",", ":")).encode()


def _initialized() -> bytes:
    return b'{"jsonrpc":"2.0","method":"notifications/initialized","params":{}}'


class Call:
    """One tool call as bytes, except for its id."""

    def __init__(self, tool: str, *, stateless: bool) -> None:
        params: dict[str, Any] = {"name": tool, "arguments": {"text": "bench"}}
        if stateless:
            params["_meta"] = _ENVELOPE
        self.tool = tool
        self.stateless = stateless
        self._before, self._after = request(0, "tools/call", params).split(b'"id":0')

    def body(self, number: int) -> bytes:
        """Return the request under an id."""
        return b'%b"id":%d%b' % (self._before, number, self._after)

    @staticmethod
    def check(answer: bytes) -> None:
        """Refuse anything but the expected result.

        Raises:
            BenchError: The answer is something else.
        """
        if b'"result"' not in answer or b'"bench"' not in answer:
            raise BenchError(answer[:300].decode(errors="replace"))


class Wire(Protocol):
    """A connection that calls can be made on, many at once."""

    @abstractmethod
    async def call(self, worker: int) -> None:
        """Make one call and check its answer; one call at a time for each worker."""

    @abstractmethod
    async def close(self) -> None:
        """End the connection."""


class _HttpConnection(asyncio.Protocol):
    """One keep-alive connection: a request at a time, the answer's raw bytes back."""

    def __init__(self) -> None:
        self._got = bytearray()
        self._waiting: asyncio.Future[bytes] | None = None
        self._need: int | None = None
        self.transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(BenchError(f"connection lost: {exc}"))

    @override
    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._need is None:
            head = self._got.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(self._got, 0, head)
            self._need = head + 4 + int(length[1]) if length else 0
        whole = len(self._got) >= self._need if self._need else self._got.endswith(b"0\r\n\r\n")
        if whole and self._waiting is not None:
            answer, self._need = bytes(self._got), None
            self._got.clear()
            self._waiting.set_result(answer)

    async def send(self, data: bytes) -> bytes:
        """Send a request and return the whole answer, head included."""
        self._waiting = asyncio.get_running_loop().create_future()
        assert self.transport is not None
        self.transport.write(data)
        return await self._waiting


class HttpWire:
    """Calls over Streamable HTTP, a connection for each worker."""

    def __init__(self, url: str, call: Call) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._path = parts.path
        self._call = call
        self._ids = count(2)
        self._connections: dict[int, _HttpConnection] = {}
        self._headers = b""

    async def open(self) -> "HttpWire":
        """Do the handshake, where the era has one."""
        if self._call.stateless:
            lines = (
                f"MCP-Protocol-Version: {STATELESS}",
                "Mcp-Method: tools/call",
                f"Mcp-Name: {self._call.tool}",
            )
            self._headers = "\r\n".join([*lines, ""]).encode()
            return self
        answer = await self._post(0, request(1, "initialize", _INITIALIZE))
        session = _SESSION.search(answer)
        version = f"MCP-Protocol-Version: {HANDSHAKE}\r\n".encode()
        self._headers = version + (b"Mcp-Session-Id: %b\r\n" % session[1] if session else b"")
        await self._post(0, _initialized())
        return self

    async def _post(self, worker: int, body: bytes) -> bytes:
        if worker not in self._connections:
            loop = asyncio.get_running_loop()
            _, made = await loop.create_connection(_HttpConnection, self._host, self._port)
            self._connections[worker] = made
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
            f"Content-Length: {len(body)}\r\n"
        )
        whole = head.encode() + self._headers + b"\r\n" + body
        return await self._connections[worker].send(whole)

    async def call(self, worker: int) -> None:
        """Make one call on this worker's connection."""
        self._call.check(await self._post(worker, self._call.body(next(self._ids))))

    async def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            if connection.transport is not None:
                connection.transport.abort()


class StdioWire:
    """Calls over the pipes of a child, as many at once as there are workers."""

    def __init__(self, process: Process, call: Call) -> None:
        self.process = process
        self._call = call
        self._ids = count(2)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, command: list[str], env: Mapping[str, str], call: Call) -> "StdioWire":
        """Start the child and do the handshake, where the era has one."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(env),
            limit=READ_LIMIT,
            start_new_session=True,
        )
        wire = cls(process, call)
        wire._reader = asyncio.create_task(wire._read())
        if not call.stateless:
            await wire._send(1, request(1, "initialize", _INITIALIZE))
            wire._write(_initialized())
        return wire

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            number = _ID.search(line)
            waiting = self._waiting.pop(int(number[1]), None) if number else None
            if waiting is not None and not waiting.done():
                waiting.set_result(line)
        for waiting in self._waiting.values():
            waiting.set_exception(BenchError("the server closed its output"))

    def _write(self, body: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(body + b"\n")

    async def _send(self, number: int, body: bytes) -> bytes:
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._write(body)
        return await answer

    async def call(self, worker: int) -> None:
        """Make one call."""
        number = next(self._ids)
        self._call.check(await self._send(number, self._call.body(number)))

    async def close(self) -> None:
        """Close the child's input and wait for its end, which is forced when it does not come."""
        if self._reader is not None:
            self._reader.cancel()
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 5)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
