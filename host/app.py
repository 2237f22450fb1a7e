"""The composition root: settings in, a wired host out."""

import asyncio
import contextlib
import logging
import os
from collections import ChainMap, OrderedDict
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from host.agents.agents import Agents
from host.approvals.desk import Desk
from host.approvals.inbox import Inbox
from host.approvals.open import open_board, set_config
from host.audit.checkpoint import Checkpoints
from host.audit.journal import Journal
from host.audit.loader import JournalLoader
from host.audit.record import Note
from host.config.environment import (
    StorePlace,
    database_url,
    telemetry_variables,
    wants_telemetry,
)
from host.config.load import LoadedSettings, load_settings
from host.config.paths import Paths
from host.config.proxy import find_proxy
from host.config.servers import BearerAuthConfig, ServerConfig
from host.config.settings import Settings, TelemetryConfig
from host.domain.errors import ConfigError, NotFoundError
from host.domain.jsonrpc import Json
from host.domain.principal import LOCAL_USER, Principal
from host.gateway.approve import ApprovalStep
from host.gateway.constraint import check_matchers
from host.gateway.folders import Folders
from host.gateway.gate import Gate
from host.gateway.gateway import Gateway
from host.gateway.http1.client import HttpClient
from host.gateway.oauth.authorizer import Authorizer
from host.gateway.oauth.build import build_authorizer
from host.gateway.pinning import PinDesk, note_pins
from host.gateway.provider import ToolProvider
from host.gateway.questions import Questions
from host.gateway.record import Recorder
from host.gateway.search import Finder
from host.gateway.upstream.connection import Connection
from host.gateway.upstream.keeper import Keeper
from host.gateway.upstream.knowledge import Knowledge
from host.gateway.upstream.server import Surroundings, UpstreamServer
from host.identity.oauth import OAuthVerifier
from host.identity.tokens import TokenStore
from host.pins.book import PinBook
from host.pins.origin import origin_of, owner_of
from host.plugins.code_mode import CodeMode
from host.plugins.installed import Register
from host.plugins.provider import PluginSurroundings
from host.plugins.shelf import PluginShelf
from host.policy.limit import MemoryCounters
from host.policy.live import LivePolicy, PolicyChange
from host.policy.source import Found, find_sources
from host.sandbox.pool import SandboxPool
from host.secrets.redaction import Redactor, dump_json
from host.secrets.seal import Sealer
from host.secrets.tokens import TokenStore as UpstreamTokenStore
from host.storage.store import Store, open_store
from host.taint.store import TAINT_FILE, TaintStore, start_over

if TYPE_CHECKING:
    from host.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

LOAD_INTERVAL = 2.0
"""Seconds between two loads of the journal into the store; `host audit` reads both."""

FOLDER_LIMIT = 128
"""Working folders whose policies are kept read."""


TERMINAL = Principal(LOCAL_USER, "terminal", role="admin", attended=True)
"""The person at this machine."""


class Host:
    """Everything a daemon runs, wired; faces and commands use its parts.

    Args:
        loaded: The configuration in force.
        paths: The user's folders.
        client: The HTTP connection pool.
        store: The database.
        pool: The confined processes that plugins run in.
    """

    def __init__(
        self,
        loaded: LoadedSettings,
        paths: Paths,
        *,
        client: HttpClient,
        store: Store,
        pool: SandboxPool,
    ) -> None:
        self.loaded = loaded
        self.paths = paths
        self.keeper = Keeper()
        self.tokens = TokenStore(paths.tokens)
        kept = loaded.settings.audit
        self.redactor = Redactor(
            secrets=loaded.settings.secret_values(),
            fields=kept.secret_fields,
            limit=kept.value_bytes,
        )
        self.tracing = _open_tracing(loaded.settings.telemetry, self.redactor)
        self.journal = Journal(paths.data / "journal", self.redactor)
        self.store = store
        self.checkpoints = Checkpoints(paths.data)
        self.loader = JournalLoader(
            paths.data / "journal",
            self.store,
            interval=LOAD_INTERVAL,
            checkpoints=self.checkpoints,
        )
        self.config_error: str | None = None
        """Why the last edit of the configuration is not in force."""
        self._upstream_tokens = UpstreamTokenStore.of_user(paths.data / "oauth")
        self._policies: OrderedDict[Path | None, LivePolicy] = OrderedDict()
        self.taint = TaintStore(paths.data / TAINT_FILE)
        sealer = Sealer.load(paths.data / "seal.json")
        self.board = open_board(
            store,
            sealer,
            data_folder=paths.data,
            config=loaded.settings.approvals,
            note=self._note,
        )
        self.inbox = Inbox(self.board)
        self.desk = Desk(self.board, self.inbox)
        step = ApprovalStep(self.board, self.desk, self.inbox, sealer=sealer)
        self.gate = Gate(
            self.policy,
            MemoryCounters(),
            taint=self.taint,
            on_change=self._note_policy,
            approvals=step,
        )
        self.board.judge, self.board.matches = self.gate.judge_edit, self.gate.holds
        self.board.check_matchers = check_matchers
        self._questions = Questions(self.gate, Recorder(self.journal))
        self._around = Surroundings(
            self.keeper,
            client,
            self._on_notice,
            self._authorizer,
            paths.logs,
            StorePlace(database_url(loaded.settings.store), paths.data, LOCAL_USER),
            Knowledge(paths.data / "servers.json"),
            self.tracing,
            paths.data / "lists",
            self._questions.put,
            hold=self._hold_source,
        )
        self.servers: dict[str, UpstreamServer] = {}
        self.pins = PinBook(paths.data / "pins", self.servers)
        self.pins.listeners.append(note_pins(self.journal))
        self.own: dict[str, ToolProvider] = {}
        """What the host itself offers, by the first part of its names."""
        self._settle_servers(loaded.settings)
        self.gateway = Gateway(
            ChainMap[str, ToolProvider](self.own, cast("dict[str, ToolProvider]", self.servers)),
            gate=self.gate,
            sealer=sealer,
            recorder=Recorder(self.journal),
            finder=Finder(loaded.settings.clients),
            tracing=self.tracing,
            pins=PinDesk(self.pins),
        )
        self.folders = Folders(self.servers, self._load_in, self._make_server)
        self.gateway.folders = self.folders
        self._code_mode = CodeMode(
            self._on_notice,
            catalog=self.gateway.catalog,
            call_tool=self.gateway.caller.call_tool,
            pool=pool,
        )
        self._settle_code_mode()
        self.plugins = self._plugin_shelf(pool)
        self.agents = Agents(
            paths, self.store, self.gateway, redactor=self.redactor, variables=os.environ
        )
        self.own["agent"] = self.agents.provider

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, loaded: LoadedSettings, paths: Paths) -> AsyncGenerator["Host"]:
        """Return a host that is closed, with everything it started, at the end of the block."""
        paths.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        client = HttpClient(find_proxy)
        store = await open_store(database_url(loaded.settings.store), paths.data)
        pool = SandboxPool(loaded.settings.sandbox)
        host = cls(loaded, paths, client=client, store=store, pool=pool)
        try:
            async with pool:
                yield host
        finally:
            await host.agents.close()
            await host.gateway.close()
            await host.board.close()
            await client.close()
            host.keeper.close()
            host.journal.close()
            await host.store.close()
            if host.tracing is not None:
                await asyncio.to_thread(host.tracing.close)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings

    def verifier(self) -> OAuthVerifier | None:
        """Return the judge of OAuth tokens, where they are used."""
        http = self.settings.http
        return OAuthVerifier(http.oauth) if http.auth == "oauth" and http.oauth else None

    async def apply(self, loaded: LoadedSettings) -> list[str]:
        """Put an edited configuration into force.

        Returns:
            What of it needs a restart, in sentences.
        """
        before, self.loaded = self.settings, loaded
        self.config_error = None
        replaced = self._settle_servers(loaded.settings)
        if before.policy != loaded.settings.policy:
            self._policies.clear()
        await self.plugins.refresh()
        self._settle_code_mode()
        self.gateway.finder = Finder(loaded.settings.clients)
        set_config(self.board, loaded.settings.approvals)
        self.redactor.add_secrets(loaded.settings.secret_values())
        self.folders.refresh()
        async with asyncio.TaskGroup() as group:
            for server in replaced:
                group.create_task(server.close())
        self.gateway.changed()
        later = [
            f"The change of `{part}` takes effect when the host is started again."
            for part in ("audit", "http", "store", "telemetry", "sandbox")
            if getattr(before, part) != getattr(loaded.settings, part)
        ]
        for sentence in later:
            log.warning("%s", sentence)
        return later

    def _settle_code_mode(self) -> None:
        self.own.pop(self._code_mode.name, None)
        if self.settings.wants_code_mode:
            self.own[self._code_mode.name] = self._code_mode

    def _plugin_shelf(self, pool: SandboxPool) -> PluginShelf:
        around = PluginSurroundings(
            self.store,
            self.gateway.caller.call_tool,
            self._on_notice,
            lambda: self.settings.plugins,
            self.taint,
        )
        shelf = PluginShelf(
            Register(self.paths.data),
            pool,
            around,
            logs=self.paths.logs,
            offered=self.own,
            taken=lambda: frozenset({*self.servers, *self.own}),
        )
        self.gate.code = shelf.code
        return shelf

    def policy(self, folder: Path | None = None) -> LivePolicy:
        """Return the policy that holds for clients working in a folder.

        Args:
            folder: Whose own policy takes part if it is trusted; None: where the host was started.
        """
        place = folder or self.loaded.folder
        live = self._policies.get(place)
        if live is None:
            live = self._policies[place] = LivePolicy(lambda: self._find_policy(place))
            if len(self._policies) > FOLDER_LIMIT:
                self._policies.popitem(last=False)
        return live

    def _find_policy(self, folder: Path | None) -> Found:
        return find_sources(self.paths, folder=folder, base=self.settings.policy.base)

    def clear_taint(self, who: str | None) -> dict[str, list[str]]:
        """Let somebody begin anew because a person at the terminal says so.

        Args:
            who: A principal's id; None means everybody.

        Returns:
            What each had met.

        Raises:
            NotFoundError: They have met nothing.
            TaintError: It cannot be written.
        """
        if who is None:
            cleared = start_over(self.taint.file)
        else:
            known = self.taint.principals()
            cleared = {who: sorted(self.taint.clear(who, by=TERMINAL.id))}
            if not cleared[who]:
                raise NotFoundError("principal that has met anything", who, known)
        self.journal.append(Note(principal=TERMINAL, name="taint.cleared", detail=cleared))
        return cleared

    def _note(self, who: Principal, name: str, detail: Json) -> None:
        """Record what was done to the host itself."""
        self.journal.append(Note(principal=who, name=name, detail=detail))

    def _note_policy(self, change: PolicyChange) -> None:
        """Record that another policy holds, or that none can be read."""
        if change.error is not None:
            log.error("%s", change.error)
        else:
            log.info("another policy holds: %.12s", change.after)
        for warning in change.warnings:
            log.warning("%s", warning)
        principal = Principal(LOCAL_USER, "host", role="admin")
        self._note(principal, "policy.changed", change.detail())

    def _load_in(self, folder: Path) -> LoadedSettings:
        """Return the settings that hold in a folder that a client works in."""
        option = next((one.file for one in self.loaded.sources if one.kind == "option"), None)
        return load_settings(option, folder=folder, paths=self.paths)

    def _make_server(self, name: str, config: ServerConfig) -> UpstreamServer:
        return UpstreamServer(name, config, self._around)

    def _hold_source(self, name: str, config: ServerConfig) -> str | None:
        return self.pins.hold_source(owner_of(name, config), origin_of(config), config.trust)

    def _settle_servers(self, settings: Settings) -> list[UpstreamServer]:
        """Make the servers those of the settings; return the ones to close."""
        stale = [
            server
            for name, server in self.servers.items()
            if settings.servers.get(name) != server.config
        ]
        kept = {name: server for name, server in self.servers.items() if server not in stale}
        self.servers.clear()
        for name, config in settings.servers.items():
            self.servers[name] = kept.get(name) or self._make_server(name, config)
        return stale

    def _on_notice(self, connection: Connection, method: str, params: Json) -> None:
        self.gateway.on_notice(connection, method, params)

    def _authorizer(self, name: str, config: ServerConfig) -> Authorizer:
        auth = config.auth
        if auth.type == "none":
            credential = None
        else:
            credential = auth.token if isinstance(auth, BearerAuthConfig) else auth
        return build_authorizer(
            name,
            str(config.url),
            auth=credential,
            headers=config.headers,
            store=self._upstream_tokens,
        )


def _open_tracing(config: TelemetryConfig, redactor: Redactor) -> "Tracing | None":
    """Return what begins spans; None where none are wanted.

    Raises:
        ConfigError: The configuration asks for spans that cannot be exported; where only a
            variable of the whole machine does, a warning has to do.
    """
    if not wants_telemetry(config):
        return None
    from host.telemetry.export import open_tracing  # noqa: PLC0415 - slow, and rarely wanted

    def show(value: object) -> str:
        return redactor.redact_json(dump_json(redactor.capped(value))).decode()

    try:
        return open_tracing(config, telemetry_variables(), redact=redactor.redact_text, show=show)
    except ConfigError as error:
        if config.enabled or config.endpoint is not None:
            raise
        log.warning("no spans are exported: %s", error)
        return None


def log_file(paths: Paths) -> Path:
    """Return where a daemon in the background writes its log."""
    return paths.logs / "daemon.log"
