"""The web server's protocol, with one change: an answer leaves in one write, head and body."""

import asyncio
from typing import Any

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HeldHead(asyncio.Transport):
    """A transport that holds the head of an answer back until the first of its body comes.

    Written apart, the head costs a system call of its own and wakes the client once for nothing.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._head = b""

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data[:9] == b"HTTP/1.1 " and data[9:10] != b"1":  # an interim answer is waited for
            self._head = bytes(data)
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Write the head of an answer that has no body."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    @override
    def close(self) -> None:
        self.flush()
        self._transport.close()

    @override
    def abort(self) -> None:
        self._transport.abort()

    @override
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    @override
    def pause_reading(self) -> None:
        self._transport.pause_reading()

    @override
    def resume_reading(self) -> None:
        self._transport.resume_reading()

    @override
    def is_reading(self) -> bool:
        return self._transport.is_reading()

    @override
    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)


class HttpProtocol(HttpToolsProtocol):
    """One connection of the HTTP face."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:
        self._held = HeldHead(transport)
        super().connection_made(self._held)

    @override
    def on_response_complete(self) -> None:
        self._held.flush()
        super().on_response_complete()
