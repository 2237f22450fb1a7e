"""Everything about agents that a host holds, wired."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import anyio

from host.agents.library import Agent, AgentLibrary
from host.agents.own_servers import Make, OwnServers
from host.agents.provider import AgentProvider, run_uri
from host.agents.recall import Recaller
from host.agents.router import Router
from host.agents.runner import Runner
from host.approvals.inbox import Inbox
from host.config.files import Stamp, is_unchanged, stamp_file
from host.config.paths import Paths
from host.config.shipped import shipped_folder
from host.domain.errors import HostError, StoreError
from host.domain.principal import Principal
from host.events.run import Event, Run, utc_now
from host.events.runs import Hub, Runs
from host.events.writer import SILENCE, WRITER, EventWriter
from host.gateway.exchange import Exchange
from host.gateway.gateway import Gateway
from host.gateway.notices import UPDATED
from host.prompts.library import PromptLibrary
from host.secrets.keys import Keys
from host.secrets.redaction import Redactor, dump_json
from host.storage.store import Store

if TYPE_CHECKING:
    from host.agents.toolbox import Tool
    from host.models.models import Models

log = logging.getLogger(__name__)

LOOK_AGAIN = 1.0
"""Seconds between two looks at agents' files, for clients that keep the list of tools."""

SHORTEST_KEY = 8
"""Characters; a shorter key is an ordinary word that a local server is content with."""


class Agents:
    """The agents of a host: their files, runs and tools.

    Args:
        paths: The user's folders.
        store: The database.
        gateway: Where tools are called.
        redactor: Keeps secrets out of events.
        variables: For `${VARIABLE}`s of agents' files.
        make_server: Makes a server that an agent's file declares.
        inbox: The approvals.
        patience: Returns for how many seconds a call waits for its approval.
        hold: Returns for how many seconds a run is kept in memory that waits for one.
    """

    def __init__(  # noqa: PLR0913 - it is wired once, by name
        self,
        paths: Paths,
        store: Store,
        gateway: Gateway,
        *,
        redactor: Redactor,
        variables: Mapping[str, str],
        make_server: Make,
        inbox: Inbox,
        patience: Callable[[], float],
        hold: Callable[[], float],
    ) -> None:
        self.prompts = prompt_library(paths)
        self.library = agent_library(paths, self.prompts, variables)
        self.library.on_secrets = redactor.add_secrets
        self._own_servers = OwnServers(make_server, lambda: gateway.servers)
        gateway.further = self._own_servers.every
        self._gateway = gateway
        self.router = Router(self.library)
        self.hub = Hub()
        self._models: Models | None = None
        self._models_read: Stamp | None = None
        self._redactor = redactor
        self._paths, self._store, self._variables = paths, store, variables
        self._writer = EventWriter(
            store,
            lambda value: redactor.redact_json(dump_json(value)),
            heard=self._hear,
            stored=self._tell_subscribers,
        )
        self.runs = Runs(store, caught_up=self._writer.caught_up)
        self.runner = Runner(
            self.library,
            gateway,
            models=self.models,
            writer=self._writer,
            runs=self.runs,
            hub=self.hub,
            recaller=Recaller(store),
            own_servers=self._own_servers,
            inbox=inbox,
            hold=hold,
        )
        self.provider = AgentProvider(
            self.runner, gateway.on_notice, prompts=self.prompts, patience=patience
        )

    def models(self) -> "Models":
        """Return the models as `models.yaml` says now; pydantic-ai is imported at the first time.

        Raises:
            ConfigError: `models.yaml` says something that is not allowed.
        """
        file = self._paths.config / "models.yaml"
        if self._models is not None and is_unchanged(file, self._models_read):
            return self._models
        stamp = stamp_file(file)
        if self._models is None:
            from host.models.models import Models  # noqa: PLC0415

            self._models = Models.load(
                self._paths, self._variables, store=self._store, on_key=self._hide_key
            )
        else:
            from host.models.config_file import load_models_config  # noqa: PLC0415

            self._models.renew(load_models_config(self._paths.config))
        self._models_read = stamp
        return self._models

    def _hear(self, event: Event) -> None:
        """Pass on an event of a run, before it is stored."""
        self.hub.publish(event)
        if event.kind == "approval":
            self.runner.shelf.expect(event.run_id)

    def _hide_key(self, key: str) -> None:
        """Keep a provider's key out of all records, those of later as well."""
        if len(key) >= SHORTEST_KEY:
            self._redactor.add_secrets([key])

    async def tools_of(self, exchange: Exchange, agent: Agent) -> "list[Tool]":
        """Return the tools that an agent can call.

        Raises:
            ConfigError: A server of its own has the name of one of the host's.
        """
        from host.agents.offered import offered_tools  # noqa: PLC0415 - pydantic-ai loads slowly

        return await offered_tools(self._gateway, exchange, agent, self._own_servers.of(agent))

    async def watch(self) -> None:
        """Tell clients of edited agents, until cancelled."""
        seen = self._signature()
        while True:
            await anyio.sleep(LOOK_AGAIN)
            now = await asyncio.to_thread(self._signature)
            self.provider.renew()
            if now != seen:
                seen = now
                for error in self.library.errors().values():
                    log.error("an agent is not offered: %s", error)
                self.provider.changed("prompts")

    def _tell_subscribers(self, runs: Iterable[Run]) -> None:
        """Tell those who subscribed to a run, and may read it, that it has news."""
        notices = self._gateway.notices
        wanted, tasks = notices.uris(), self.provider.tasks
        followed = tasks is not None and tasks.followed
        for run in runs if wanted or followed else ():
            if tasks is not None:
                tasks.heard(run.id)
            uri = run_uri(run.id)
            if uri not in wanted:
                continue
            sessions = [
                listener.session.id
                for listener in notices
                if uri in listener.uris and _may_read(listener.session.principal, run)
            ]
            notices.publish(UPDATED, {"uri": uri}, sessions=sessions)

    async def take_up(self) -> list[str]:
        """Take up the runs that waited for an approval when a host of this store ended.

        Those that were interrupted at work are named in the log: somebody has to ask for them.

        Returns:
            Their ids.
        """
        begun: list[str] = []
        try:
            waiting = await self.runs.parked(WRITER)
            for run in await self.runs.interrupted(WRITER):
                log.info("the run %s was interrupted: `host runs resume %s`", run.id, run.id)
        except StoreError as error:
            log.warning("runs that wait for approvals are not taken up: %s", error)
            return begun
        for run in waiting:
            left = (run.heartbeat - utc_now()).total_seconds() + SILENCE
            if run.held and left > 0:  # its host may live, or be out of the database's sight
                await anyio.sleep(left)
            try:
                known = await self.runs.get(WRITER, run.id)
            except HostError as error:
                log.warning("the run %s stays parked: %s", run.id, error)
                continue
            if known.status == "parked" and known.heartbeat == run.heartbeat:
                active = await self.runner.shelf.put(known)
                begun += [active.run.id] if active is not None else []
        return begun

    def _signature(self) -> object:
        agents = self.library.agents()
        return {name: agent.digest for name, agent in agents.items()}, self.prompts.names()

    async def close(self) -> None:
        """Stop runs, which can be resumed, and store what is left of their events."""
        await self.runner.close()
        await self._own_servers.close()
        await self._writer.close()
        if self._models is not None:
            await self._models.aclose()


def _may_read(principal: Principal, run: Run) -> bool:
    return principal.user == run.user_id or principal.role == "admin"


def prompt_library(paths: Paths) -> PromptLibrary:
    """Return the prompts of a user, then those that come with the host."""
    folders = [paths.config / "prompts", shipped_folder("configs") / "prompts"]
    return PromptLibrary(folders, paths.data / "prompts")


def agent_library(
    paths: Paths, prompts: PromptLibrary, variables: Mapping[str, str]
) -> AgentLibrary:
    """Return the agents of a user, then those that come with the host."""
    folders = [paths.config / "agents", shipped_folder("configs") / "agents"]
    keys = Keys.of_user(paths, variables)
    return AgentLibrary(
        folders,
        prompts,
        variables=variables,
        credential=lambda name: keys.find(name.lower(), (name,)),
    )
