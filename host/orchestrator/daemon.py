"""The daemon: one per user, holding servers, store and policy for every client."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from host import __version__
from host.app import Host
from host.approvals.passphrase import Passphrase
from host.audit.retention import keep_record
from host.config.bind import check_bind, is_loopback
from host.config.load import LoadedSettings, load_settings
from host.config.paths import user_paths
from host.config.runtime import begin_log
from host.config.settings import HttpConfig
from host.config.watch import watch_settings
from host.domain.errors import HostError, NotFoundError, StoreError
from host.domain.jsonrpc import Json
from host.orchestrator.approval_page import ApprovalPages
from host.orchestrator.approvals import ApprovalCommands
from host.orchestrator.http import Door, HttpFace
from host.orchestrator.http_server import HttpServer
from host.orchestrator.own_tools import OrchestratorProvider
from host.orchestrator.peer import Peer, check_person
from host.orchestrator.pins import answer_about_pins
from host.orchestrator.process import allow_many_files, bind, calm_collector, only_daemon
from host.orchestrator.session import GRACE
from host.orchestrator.socket import SocketFace
from host.telemetry.log import configure_log

log = logging.getLogger(__name__)

FOR_PEOPLE = frozenset(
    {"approvals.answer", "approvals.passphrase", "taint.clear", "pins.accept", "pins.reject"}
)
"""Commands that only a person at a terminal may give, whichever program sends them."""


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """How a daemon is started.

    Attributes:
        config: The configuration file named on the command line.
        background: Started by a bridge: no HTTP, and it ends when nobody needs it.
        port: Port in place of the configured one.
        address: Address in place of the configured one.
        no_auth: Let in anyone on this machine over HTTP.
        folder: The working folder, whose trusted configuration takes part.
    """

    config: Path | None = None
    background: bool = False
    port: int | None = None
    address: str | None = None
    no_auth: bool = False
    folder: Path | None = None


class Daemon:
    """One run of the daemon."""

    def __init__(self, host: Host, options: DaemonOptions) -> None:
        self.host = host
        self.options = options
        host.own["orchestrator"] = OrchestratorProvider(host)
        self.started_at = time.time()
        self.stopping = asyncio.Event()
        self.endpoint: str | None = None
        self._socket_face = SocketFace(host.gateway, host.tokens, self._control)
        passphrase = Passphrase(host.store)
        self._approvals = ApprovalCommands(host.board, host.inbox, passphrase)
        self._pages = ApprovalPages(
            host.inbox, passphrase, host.sealer, life=lambda: host.settings.approvals.expires
        )
        self._http_face: HttpFace | None = None
        self._web: HttpServer | None = None
        self._busy_at = time.monotonic()

    async def run(self) -> None:
        """Serve until told to stop."""
        self._configure_log()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError, RuntimeError):  # only a main thread gets signals
                asyncio.get_running_loop().add_signal_handler(number, self.stopping.set)
        # A browser elsewhere cannot open a page of this machine.
        if self.options.background or is_loopback(self._http_config().host):
            self.host.board.page = self._pages.link
        listener = await self._socket_face.listen(self.host.paths.socket)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._watch_config()),
                    group.create_task(self._load_journal()),
                    group.create_task(self._drop_old_records()),
                    group.create_task(self._watch_tokens()),
                    group.create_task(self.host.plugins.watch()),
                    group.create_task(self.host.agents.watch()),
                    group.create_task(self.host.agents.take_up()),
                ]
                if self.options.background:
                    tasks.append(group.create_task(self._watch_idle()))
                else:
                    tasks += await self._open_web(group)
                self._announce()
                calm_collector()
                allow_many_files()
                await self.stopping.wait()
                log.info("stopping: calls in flight have %g s to finish", GRACE)
                listener.close()
                await self._close_faces()
                await self._pages.close()
                self._save_tokens()
                for task in tasks:
                    task.cancel()
        finally:
            self.host.paths.socket.unlink(missing_ok=True)

    def _configure_log(self) -> None:
        """Log as the configuration says, to a file that `host logs` shows.

        In the background, standard error is that file already.
        """
        config, redact = self.host.settings.log, self.host.redactor.redact_text
        if self.options.background:
            configure_log(config, redact, timed=True)
            return
        configure_log(config, redact, timed=False, file=begin_log(self.host.paths.logs))

    async def _load_journal(self) -> None:
        """Bring the journal into the store; a fault there must not end the daemon."""
        while True:
            try:
                await self.host.loader.run()
            except Exception:  # the worker's boundary: the journal keeps what was not loaded
                log.exception("records wait in the journal: loading them failed")
                await asyncio.sleep(30)

    async def _drop_old_records(self) -> None:
        """Drop records that are no longer kept, soon after the start and then every hour."""
        host = self.host
        while True:
            await asyncio.sleep(60)
            try:
                count = await keep_record(
                    host.store,
                    host.paths.data,
                    host.settings.audit,
                    checkpoints=host.checkpoints,
                    journal=host.journal,
                )
            except HostError as error:
                log.warning("old records stay: %s", error)
            else:
                if count:
                    log.info("%d lines of the record were old and are dropped", count)
            await asyncio.sleep(3600)

    def _save_tokens(self) -> None:
        try:
            self.host.tokens.save_last_used()
        except HostError as error:
            log.warning("when tokens were used last could not be written down: %s", error)

    async def _watch_tokens(self) -> None:
        """Write down now and then when each token was used last."""
        while True:
            await asyncio.sleep(60)
            self._save_tokens()

    async def _close_faces(self) -> None:
        await self._socket_face.close()
        if self._http_face is not None:
            await self._http_face.close()
        if self._web is not None:
            await self._web.close()

    async def _open_web(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Open the HTTP face.

        Raises:
            DaemonError: The address cannot be bound.
            ConfigError: The address may not be bound like this.
        """
        config = self._http_config()
        check_bind(config)
        listener = bind(config)
        port = listener.getsockname()[1]
        name = f"[{config.host}]" if ":" in config.host else config.host
        self.endpoint = f"http://{name}:{port}{config.path}"
        door = Door(config, self.host.tokens, self.host.verifier())
        self._http_face = HttpFace(self.host.gateway, door)
        self._web = HttpServer(self._http_face)
        await self._web.listen(listener)
        return [group.create_task(self._http_face.sweep())]

    def _http_config(self) -> HttpConfig:
        changes: dict[str, Any] = {}
        if self.options.port is not None:
            changes["port"] = self.options.port
        if self.options.address is not None:
            changes["host"] = self.options.address
        if self.options.no_auth:
            changes["auth"] = "none"
        return self.host.settings.http.model_copy(update=changes)

    def _announce(self) -> None:
        sources = [str(s.file) for s in self.host.loaded.sources if s.file] or ["built-in defaults"]
        names = [name for name, server in self.host.servers.items() if server.config.enabled]
        for warning in self.host.loaded.warnings:
            log.warning("%s", warning)
        log.info("mcp-agent-host %s", __version__)
        if self.endpoint is not None:
            log.info("endpoint %s", self.endpoint)
        log.info("config   %s", ", ".join(sources))
        log.info("servers  %s", ", ".join(names) or "none: `host servers add` adds one")
        if self.endpoint is None:
            return
        if self._http_config().auth != "none":
            log.info("clients  `host install CLIENT` connects one, `host tokens create` admits one")
        else:
            log.warning("no token is asked for: every program on this machine can use your tools")

    async def _watch_config(self) -> None:
        options = self.options
        async for change in watch_settings(
            self.host.loaded,
            config=options.config,
            folder=options.folder,
            paths=self.host.paths,
        ):
            if isinstance(change, LoadedSettings):
                await self.host.apply(change)
                self._configure_log()
                log.info("the edited configuration is in force")
            else:
                self.host.config_error = str(change)
                log.error("the last good configuration stays in force: %s", change)

    async def _watch_idle(self) -> None:
        """Stop once no client has been connected for long."""
        while True:
            limit = self.host.settings.daemon.idle_timeout
            await asyncio.sleep(min(1.0, limit or 1.0))
            now = time.monotonic()
            if self._socket_face.clients or self.host.agents.runner.active:
                self._busy_at = now
            elif limit and now - self._busy_at > limit:
                log.info("no client for %g s", limit)
                self.stopping.set()
                return

    async def _control(self, method: str, params: Json, peer: Peer) -> Any:  # noqa: ANN401 - any JSON
        """Carry out a command of the command line."""
        denies = method == "approvals.answer" and params.get("approve") is False
        if method in FOR_PEOPLE and not denies:  # a no needs nobody's authority
            await asyncio.to_thread(check_person, peer, method)
        if method == "status":
            if params.get("wait_for_store"):
                with contextlib.suppress(StoreError):
                    await self.host.store.ready(deadline=30)
            return self._status()
        if method == "stop":
            self.stopping.set()
            return {"pid": os.getpid()}
        if method == "restart":
            name = str(params.get("name"))
            server = self.host.servers.get(name)
            if server is None:
                raise NotFoundError("server", name, self.host.servers)
            await server.restart()
            self.host.gateway.changed()
            return {"name": name}
        return await self._control_part(method, params)

    async def _control_part(self, method: str, params: Json) -> Any:  # noqa: ANN401 - any JSON
        """Carry out a command about a part of the host."""
        if method == "plugins":
            return [asdict(standing) for standing in self.host.plugins.standings()]
        if method == "taint.clear":
            return self.host.clear_taint(params.get("who"))
        if method.startswith("pins."):
            return answer_about_pins(self.host, method, params)
        if method in self._approvals.names:
            return await self._approvals.run(method, params)
        known = ["status", "stop", "restart", "plugins", "taint.clear", *self._approvals.names]
        raise NotFoundError("command", method, known)

    def _status(self) -> Json:
        servers = [
            {
                "name": server.name,
                "kind": server.config.kind,
                "state": server.state,
                "connections": len(server.links),
                "latency_ms": round(server.last_latency * 1000) if server.last_latency else None,
                "error": str(server.last_error) if server.last_error else None,
            }
            for server in self.host.servers.values()
        ]
        return {
            "pid": os.getpid(),
            "version": __version__,
            "background": self.options.background,
            "uptime_s": round(time.time() - self.started_at),
            "endpoint": self.endpoint,
            "socket": str(self.host.paths.socket),
            "config": [str(source.file) for source in self.host.loaded.sources if source.file],
            "config_error": self.host.config_error,
            "warnings": list(self.host.loaded.warnings),
            "clients": self._socket_face.clients,
            "store": asdict(self.host.store.state),
            "servers": servers,
            "held": sorted({pin.shown for _, pin in self.host.pins.waiting()}),
        }


async def serve(options: DaemonOptions) -> None:
    """Run the daemon until it is told to stop.

    Raises:
        HostError: It cannot start.
    """
    paths = user_paths()
    loaded = load_settings(options.config, folder=options.folder, paths=paths)
    async with Host.open(loaded, paths) as host:
        await Daemon(host, options).run()


def run_daemon(options: DaemonOptions) -> None:
    """Run the daemon in this process, on the fastest event loop there is.

    Raises:
        HostError: It cannot start.
    """
    with only_daemon(user_paths()):
        if sys.platform == "win32":
            asyncio.run(serve(options))
            return
        import uvloop  # noqa: PLC0415 - not on Windows

        try:
            uvloop.run(serve(options))
        except* HostError as group:
            raise group.exceptions[0] from None
