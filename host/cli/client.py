"""The command line as a client of the daemon: the same way in as every other client's."""

import json
import os
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from host.cli.bridge import Bridge, BridgeError
from host.domain.errors import DaemonError
from host.domain.jsonrpc import METHOD_NOT_FOUND, Json, RpcError, as_object
from host.domain.protocol import LATEST_HANDSHAKE, object_member


class HostClient:
    """A handshake session with the daemon, which is started if none runs."""

    def __init__(self) -> None:
        try:
            self._socket = Bridge([], hello="cli").connect()
        except BridgeError as error:
            raise DaemonError(f"The daemon cannot be reached: {error}.") from error
        self._reader = self._socket.makefile("rb")
        self._next_id = 0
        info = {"name": "host", "version": "1"}
        params = {"protocolVersion": LATEST_HANDSHAKE, "capabilities": {}, "clientInfo": info}
        self.request("initialize", params)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def request(
        self,
        method: str,
        params: Json | None = None,
        *,
        tell: Callable[[str], None] | None = None,
    ) -> Json:
        """Return a request's result.

        Args:
            method: What is asked.
            params: With what.
            tell: Told each new text of progress, as that it waits for an approval.

        Raises:
            RpcError: The host or the server answered with an error.
            DaemonError: The daemon ended.
        """
        self._next_id += 1
        body = dict(params or {})
        if tell is not None:
            body["_meta"] = {"progressToken": self._next_id}
        self._send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": body})
        said: str | None = None
        while line := self._reader.readline():
            message = as_object(json.loads(line)) or {}
            if "method" in message and "id" in message:
                self._refuse(message)
            text = _progress_text(message)
            if tell is not None and text is not None and text != said:
                said = text
                tell(text)
            if "method" in message or message.get("id") != self._next_id:
                continue
            if "error" in message:
                raise RpcError.from_wire(message["error"])
            return object_member(message, "result")
        raise DaemonError("The daemon ended before it answered.", next_step="See `host logs`.")

    def _refuse(self, question: Json) -> None:
        """Answer a question of a server: nobody is asked at the command line."""
        text = "The command line does not answer questions; call this from an MCP client."
        error = {"code": METHOD_NOT_FOUND, "message": text}
        self._send({"jsonrpc": "2.0", "id": question["id"], "error": error})

    def _send(self, message: Json) -> None:
        self._socket.sendall(json.dumps(message).encode() + os.linesep.encode())


def _progress_text(message: Json) -> str | None:
    """Return what a notification of progress says; None for any other message."""
    if message.get("method") != "notifications/progress":
        return None
    text = object_member(message, "params").get("message")
    return text if isinstance(text, str) else None


def call(
    method: str, params: Json | None = None, *, tell: Callable[[str], None] | None = None
) -> Json:
    """Return the result of one request in a session of its own.

    Args:
        method: What is asked.
        params: With what.
        tell: Told each new text of progress.

    Raises:
        DaemonError: It could not be served; the message is the host's.
    """
    with HostClient() as client:
        try:
            return client.request(method, params, tell=tell)
        except RpcError as error:
            raise DaemonError(error.message) from error


def show_json(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return JSON for a person's eyes."""
    return json.dumps(value, indent=2, ensure_ascii=False)
