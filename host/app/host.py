"""Everything a daemon runs, wired together from settings; faces and commands use its parts."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Collection
from pathlib import Path
from typing import cast

from host.agents.agents import Agents
from host.app.policies import FolderPolicies
from host.app.records import open_records
from host.approvals.desk import Desk
from host.approvals.inbox import Inbox
from host.approvals.open import open_board, set_config
from host.audit.record import Note
from host.config.environment import (
    StorePlace,
    database_url,
)
from host.config.load import LoadedSettings, load_settings
from host.config.paths import Paths, private_folders
from host.config.proxy import find_proxy
from host.config.servers import BearerAuthConfig, ServerConfig
from host.config.settings import Settings
from host.domain.errors import HostError, NotFoundError
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
from host.gateway.provider import Servers, ToolProvider
from host.gateway.questions import Questions
from host.gateway.record import Recorder
from host.gateway.search import Finder
from host.gateway.upstream.connection import Connection
from host.gateway.upstream.keeper import Keeper
from host.gateway.upstream.knowledge import Knowledge
from host.gateway.upstream.opening import Surroundings
from host.gateway.upstream.server import UpstreamServer
from host.identity.oauth import OAuthVerifier
from host.identity.tokens import TokenStore
from host.pins.book import PinBook
from host.pins.origin import origin_of, owner_of
from host.plugins.code_mode import CodeMode
from host.plugins.installed import Register
from host.plugins.provider import PluginSurroundings
from host.plugins.shelf import PluginShelf
from host.policy.kept_limits import LIMITS_FILE, KeptCounters
from host.policy.live import PolicyChange
from host.sandbox.pool import SandboxPool
from host.secrets.seal import Sealer
from host.secrets.tokens import TokenStore as UpstreamTokenStore
from host.storage.store import Store, open_store
from host.taint.store import TAINT_FILE, TaintStore, start_over

log = logging.getLogger(__name__)

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
        self.loaded, self.paths, self.store = loaded, paths, store
        self.config_error: str | None = None
        """Why the last edit of the configuration is not in force."""
        self.keeper = Keeper()
        self.tokens = TokenStore(paths.tokens)
        self._upstream_tokens = UpstreamTokenStore.of_user(paths.data / "oauth")
        records = open_records(loaded.settings, paths, store)
        self.redactor, self.journal, self.tracing = (
            records.redactor,
            records.journal,
            records.tracing,
        )
        self.checkpoints, self.loader = records.checkpoints, records.loader
        self.policies = FolderPolicies(paths, lambda: self.loaded)
        self.taint = TaintStore(paths.data / TAINT_FILE)
        sealer = self.sealer = Sealer.load(paths.data / "seal.json")
        self.gate = self._open_gate(sealer)
        self._questions = Questions(self.gate, Recorder(self.journal))
        self._around = self._surroundings(client)
        self.servers: dict[str, UpstreamServer] = {}
        self.pins = self._pin_book()
        self.own: dict[str, ToolProvider] = {}
        """What the host itself offers, by the first part of its names."""
        self._settle_servers(loaded.settings)
        self.gateway = self._open_gateway(sealer)
        self.folders = self.gateway.folders = Folders(
            self.servers, self._load_in, self._make_server
        )
        self._code_mode = CodeMode(
            self._on_notice,
            catalog=self.gateway.catalog,
            call_tool=self.gateway.caller.call_tool,
            pool=pool,
        )
        self._settle_code_mode()
        self.plugins = self._plugin_shelf(pool)
        self.agents = Agents(
            paths,
            store,
            self.gateway,
            redactor=self.redactor,
            variables=os.environ,
            make_server=self._make_server,
            inbox=self.inbox,
            patience=lambda: self.board.config.wait,
            hold=lambda: self.board.config.hold,
        )
        self.own["agent"] = self.agents.provider

    def _open_gate(self, sealer: Sealer) -> Gate:
        """Return what decides about each call; whom it asks is made on the way."""
        self.board = open_board(
            self.store,
            sealer,
            data_folder=self.paths.data,
            config=self.settings.approvals,
            note=self._note,
        )
        self.inbox = Inbox(self.board)
        self.desk = Desk(self.board, self.inbox)
        self.counters = KeptCounters(self.paths.data / LIMITS_FILE)
        gate = Gate(
            self.policies.of,
            self.counters,
            taint=self.taint,
            on_change=self._note_policy,
            approvals=ApprovalStep(self.board, self.desk, self.inbox, sealer=sealer),
        )
        self.board.judge, self.board.matches = gate.judge_edit, gate.holds
        self.board.check_matchers = check_matchers
        return gate

    def _surroundings(self, client: HttpClient) -> Surroundings:
        """Return what every server needs of the daemon."""
        data = self.paths.data
        return Surroundings(
            self.keeper,
            client,
            self._on_notice,
            self._authorizer,
            self.paths.logs,
            StorePlace(database_url(self.settings.store), data, LOCAL_USER),
            Knowledge(data / "servers.json"),
            self.tracing,
            data / "lists",
            self._questions.put,
            hold=self._hold_source,
            private=private_folders(self.paths),
        )

    def _open_gateway(self, sealer: Sealer) -> Gateway:
        offered = cast("dict[str, ToolProvider]", self.servers)
        return Gateway(
            Servers(self.own, offered),
            gate=self.gate,
            sealer=sealer,
            recorder=Recorder(self.journal),
            finder=Finder(self.settings.clients),
            tracing=self.tracing,
            pins=PinDesk(self.pins),
        )

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
            host.counters.close()
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
            self.policies.forget()
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

    def _pin_book(self) -> PinBook:
        book = PinBook(self.paths.data / "pins", self.servers)
        book.listeners.append(note_pins(self.journal))
        book.on_ended = lambda digests: self.board.later(self._end_grants(digests))
        return book

    async def _end_grants(self, definitions: Collection[str]) -> None:
        """Let approvals and grants die with the definitions that they were given for."""
        reason = "What it was given for has changed."
        try:
            await self.inbox.forget_definitions(definitions, reason=reason)
        except HostError as error:
            log.warning("grants of changed definitions are still listed: %s", error)

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
