"""Sends bytes to a worker without ever blocking the event loop."""

import asyncio
import socket
from collections.abc import Callable


class Outbox:
    """The sending half of a connection.

    Args:
        sock: A non-blocking socket.
        on_broken: Called when the other end has gone.
    """

    __slots__ = ("_loop", "_on_broken", "_sock", "_unsent")

    def __init__(self, sock: socket.socket, *, on_broken: Callable[[], None]) -> None:
        self._sock = sock
        self._on_broken = on_broken
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()

    def send(self, data: bytes) -> None:
        """Sends now what the socket takes and the rest when it takes more."""
        if not self._unsent:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._on_broken()
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._sock, self._writable)
        self._unsent += data

    def _writable(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._on_broken()
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._sock)

    def close(self) -> None:
        """Stops sending; the socket is the caller's to close."""
        self._loop.remove_writer(self._sock)
        self._unsent.clear()
