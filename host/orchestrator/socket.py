"""The private socket: bridges and commands of the same user come in here."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from host.audit.record import Face
from host.config.runtime import ensure_runtime_folder
from host.domain.errors import ConfigError, DaemonError, HostError
from host.domain.jsonrpc import Json, RpcError, as_object, decode, encode
from host.domain.principal import LOCAL_USER, Principal
from host.domain.protocol import object_member
from host.gateway.gateway import Gateway
from host.identity.tokens import TokenStore
from host.orchestrator.lines import LineFace, LineSession
from host.orchestrator.peer import Peer, peer_of
from host.orchestrator.session import GRACE
from host.orchestrator.tally import open_tally

log = logging.getLogger(__name__)

HELLO_LIMIT = 1 << 16
"""Bytes of the first line, in which a caller says what it is."""

Control = Callable[[str, Json, Peer], Awaitable[Any]]
"""Carries out a command of the host's own command line and returns its JSON."""


class SocketFace:
    """Serves the socket.

    Args:
        gateway: Serves clients.
        tokens: Knows clients by their token.
        control: Serves commands.
    """

    def __init__(self, gateway: Gateway, tokens: TokenStore, control: Control) -> None:
        self._gateway = gateway
        self._tokens = tokens
        self._control = control
        self._faces: dict[asyncio.Task[None], LineFace] = {}
        self._folder = Path()

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._faces)

    async def listen(self, path: Path) -> asyncio.Server:
        """Listen on a socket that only this user can reach.

        Raises:
            DaemonError: It cannot be made.
        """
        ensure_runtime_folder(path.parent)
        self._folder = path.parent
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - once, at start
        try:
            server = await asyncio.start_unix_server(self._accept, path, limit=HELLO_LIMIT)
        except OSError as error:
            raise DaemonError(
                f"The socket {path} cannot be made: {error.strerror}.",
                next_step="Set HOST_RUNTIME_DIR to a short path on a local disk.",
            ) from error
        path.chmod(0o600)  # noqa: ASYNC240 - once, at start
        return server

    async def close(self, grace: float = GRACE) -> None:
        """Finish the calls in flight, for at most `grace` seconds, and close every connection."""
        self._gateway.end_listening()
        if self._faces:
            async with asyncio.TaskGroup() as group:
                for face in self._faces.values():
                    group.create_task(_drain(face, grace))
        for task in list(self._faces):
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            if not is_same_user(peer):
                log.warning("a connection of another user was refused")
                return
            hello = as_object(decode(await reader.readline()))
            if hello is None:
                return
            if hello.get("hello") == "control":
                writer.write(encode(await self._command(hello, peer)) + b"\n")
                await writer.drain()
                return
            await self._welcome(hello, reader, writer)
        except (OSError, ValueError, RpcError) as error:
            log.debug("a connection was dropped: %s", error)
        except asyncio.CancelledError:
            log.debug("a connection was closed")  # asyncio before 3.12 would log a traceback of it
        finally:
            writer.close()

    async def _welcome(
        self, hello: Json, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        face: Face = "cli" if hello.get("hello") == "cli" else "stdio"
        token = hello.get("token")
        principal = self._principal(token, face)
        folder = hello.get("folder")
        session = LineSession(
            principal, face, folder=Path(folder) if isinstance(folder, str) else None, writer=writer
        )
        admitted = (lambda: self._is_valid(token)) if token is not None else (lambda: True)
        tally = open_tally(hello.get("tally"), self._folder)
        line_face = LineFace(self._gateway, session, admitted, tally=tally)
        writer.write(b"\n")  # the welcome: see the bridge
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs connection callbacks in tasks
        self._faces[task] = line_face
        try:
            await line_face.run(reader)
        finally:
            del self._faces[task]
            tally.close()

    async def _command(self, hello: Json, peer: Peer) -> Json:
        try:
            params = object_member(hello, "params")
            return {"result": await self._control(str(hello.get("method")), params, peer)}
        except HostError as error:
            return {"error": str(error)}

    def _is_valid(self, token: object) -> bool:
        """Whether a token is good now: a revoked one ends what its session may do at once."""
        try:
            return isinstance(token, str) and self._tokens.verify(token) is not None
        except ConfigError:
            return False

    def _principal(self, token: object, face: Face) -> Principal:
        """Return who is calling: a token tells the client, the socket alone tells the user."""
        if isinstance(token, str):
            try:
                found = self._tokens.verify(token)
            except ConfigError as error:
                log.warning("%s", error)
                found = None
            if found is not None:
                return found
            log.warning("a client came with a token that is not valid; its requests are refused")
        return Principal(user=LOCAL_USER, client=face, role="user")


async def _drain(face: LineFace, grace: float) -> None:
    try:
        async with asyncio.timeout(grace):
            await face.drain()
    except TimeoutError:
        log.warning("calls in flight were given up after %g s", grace)


def is_same_user(peer: Peer) -> bool:
    """Whether the other end is a process of this user (or root).

    Where the system does not say, the folder's mode alone keeps others out.
    """
    return peer.uid is None or peer.uid in (os.geteuid(), 0)
