"""Opens the way to a configured tool server: a child's pipes, or an HTTP channel."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host.config.defaults import make_default_folder
from host.config.environment import (
    StorePlace,
    child_environment,
    store_environment,
    uses_store,
)
from host.config.servers import ServerConfig
from host.domain.errors import UpstreamError, UpstreamUnavailableError
from host.domain.jsonrpc import Json, RequestId
from host.gateway.exchange import Exchange, Session
from host.gateway.http1.client import HttpClient
from host.gateway.oauth.authorizer import Authorizer
from host.gateway.upstream.channel import Channel
from host.gateway.upstream.connection import OnNotice
from host.gateway.upstream.duplex import DuplexChannel
from host.gateway.upstream.http import HttpChannel
from host.gateway.upstream.keeper import Child, Keeper
from host.gateway.upstream.knowledge import Knowledge
from host.gateway.upstream.legacy_sse import LegacySseChannel

if TYPE_CHECKING:
    from host.telemetry.tracing import Tracing

EXIT_WAIT = 1.0
"""Seconds for which a child that closed its output is expected to end."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every server needs of the daemon.

    Attributes:
        keeper: Starts children.
        client: The HTTP connection pool.
        on_notice: Receives notifications that belong to no request.
        make_authorizer: Returns the credentials of a server.
        log_folder: Where children's standard error goes; None keeps only the last lines.
        store: Where bundled servers that use the store find it; its user is replaced by theirs.
        knowledge: What is remembered of servers.
        tracing: Begins spans; None where none are exported.
        lists: Folder in which what servers list is remembered; None remembers nothing.
        put: Decides whether a server's question reaches its client; None lets all pass.
        hold: Says why a server may not be started as it is configured now; None if it may.
        private: The host's own folders, which programs of others are kept off.
    """

    keeper: Keeper
    client: HttpClient
    on_notice: OnNotice
    make_authorizer: Callable[[str, ServerConfig], Authorizer]
    log_folder: Path | None = None
    store: StorePlace | None = None
    knowledge: Knowledge = field(default_factory=Knowledge)
    tracing: "Tracing | None" = None
    lists: Path | None = None
    put: Callable[[Any, Exchange | Session, str, Json], Awaitable[Json]] | None = None
    hold: Callable[[str, ServerConfig], str | None] = lambda name, config: None
    private: tuple[Path, ...] = ()


class Opening:
    """Opens channels to one server, and keeps what its children said last.

    Args:
        name: The server's name.
        config: Its configuration.
        surroundings: What the daemon provides.
    """

    def __init__(self, name: str, config: ServerConfig, surroundings: Surroundings) -> None:
        self.name = name
        self.config = config
        self._around = surroundings
        self.starting: DuplexChannel | None = None
        """The newest child's channel, for what it says while it starts."""

    async def open(
        self, on_message: Callable[[Json, RequestId | None], None], *, user: str
    ) -> tuple[Channel, Child | None, list[asyncio.Task[None]]]:
        """Return a channel, with the child and the tasks that serve it where it is a program.

        Args:
            on_message: Receives what the server sends of itself, and on which request's stream.
            user: For whom it is opened.

        Raises:
            UpstreamError: It cannot be started or reached.
        """
        limit = self.config.max_result_bytes
        if self.config.url is None:
            argv, env = self._command(user)
            cwd = self._working_folder()
            open_to = self.config.host_folders or self.config.bundled is not None
            hide = () if open_to else self._around.private
            child = await self._around.keeper.start(self.name, argv, env=env, cwd=cwd, hide=hide)
            duplex = DuplexChannel(
                self.name, child.stdout, child.stdin, on_message=on_message, limit=limit
            )
            self.starting = duplex
            tasks = [
                asyncio.create_task(
                    duplex.run(lambda: self._explain_end(child, duplex)),
                    name=f"{self.name} output",
                ),
                asyncio.create_task(self._read_stderr(child, duplex), name=f"{self.name} errors"),
            ]
            return duplex, child, tasks
        kind = LegacySseChannel if self.config.kind == "sse" else HttpChannel
        channel = kind(
            self.name,
            str(self.config.url),
            client=self._around.client,
            authorizer=self._around.make_authorizer(self.name, self.config),
            on_message=on_message,
            limit=limit,
        )
        if isinstance(channel, LegacySseChannel):
            await channel.open()
        return channel, None, []

    def _working_folder(self) -> str | None:
        return str(Path(self.config.cwd).expanduser()) if self.config.cwd else None

    def _command(self, user: str) -> tuple[list[str], dict[str, str]]:
        """Return the argument list and the whole environment of the child."""
        env = child_environment()
        if self.config.bundled is not None:
            env["HOST_SERVER_SETTINGS"] = json.dumps(self.config.settings)
            env["HOST_SERVER_CONFINE"] = "1"
            env["PYTHONPATH"] = str(Path(__file__).parents[3])
            make_default_folder(self.config)
            stored = uses_store(self.config.bundled, self.config.settings)
            if stored and self._around.store is not None:
                env |= store_environment(replace(self._around.store, user=user))
            return [sys.executable, "-P", "-m", f"servers.{self.config.bundled}"], env
        env |= self.config.plain_env()
        return [str(self.config.command), *self.config.args], env

    async def _read_stderr(self, child: Child, duplex: DuplexChannel) -> None:
        """Keep the last lines that a child writes to standard error, and write them to its log."""
        folder = self._around.log_folder
        with contextlib.ExitStack() as stack:
            file = None
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                file = stack.enter_context((folder / f"{self.name}.log").open("ab", buffering=0))
            while chunk := await child.stderr.read(1 << 16):
                duplex.hear(chunk.decode("utf-8", "replace").splitlines())
                if file is not None:
                    file.write(chunk)

    async def _explain_end(self, child: Child, duplex: DuplexChannel) -> UpstreamError:
        """Return what became of a child that closed its output."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_WAIT):
                return self.ended_with(await asyncio.shield(child.exited), duplex)
        return UpstreamUnavailableError(
            f"Server {self.name!r} ended before it answered: it closed its output.",
            upstream=self.name,
        )

    def ended_with(self, status: int, channel: Channel) -> UpstreamUnavailableError:
        """Return the error that a child's end amounts to."""
        words = channel.last_words if isinstance(channel, DuplexChannel) else None
        how = f"signal {-status}" if status < 0 else f"status {status}"
        said = f" Its last words: {words}" if words else ""
        return UpstreamUnavailableError(
            f"Server {self.name!r} ended with {how}.{said}", upstream=self.name
        )
