"""The host inside a Python program: `from host import Host`."""

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal
from typing_extensions import override

from host.app import Host as WiredHost
from host.config.load import LoadedSettings, load_settings
from host.config.paths import Paths, user_paths
from host.domain.errors import HostError
from host.domain.jsonrpc import METHOD_NOT_FOUND, Json, RpcError
from host.domain.principal import LOCAL_USER, Principal
from host.events.run import Event
from host.gateway.exchange import QuietExchange, QuietSession
from host.orchestrator.daemon import Daemon, DaemonOptions
from host.orchestrator.process import only_daemon

if TYPE_CHECKING:
    from host.agents.order import Outcome

OnQuestion = Callable[[str], Awaitable[bool]]
"""Is shown a question of the host or of a server, and returns whether the answer is yes."""


class Host:
    """A host of one's own, with its agents; no daemon is needed.

    Use it as `async with Host.from_config() as host`, or as `with` and the methods that end in
    `_sync`.

    Args:
        loaded: The configuration in force.
        paths: The user's folders.
        on_question: Answers questions and approvals; None leaves them to `host approvals`.
    """

    def __init__(
        self, loaded: LoadedSettings, paths: Paths, *, on_question: OnQuestion | None = None
    ) -> None:
        self._loaded, self._paths = loaded, paths
        self._on_question = on_question
        self._added: dict[str, Path] = {}
        self._wired: WiredHost | None = None
        self._stack = contextlib.AsyncExitStack()
        self._sync = contextlib.ExitStack()
        self._portal: BlockingPortal | None = None

    @classmethod
    def from_config(
        cls,
        config: Path | str | None = None,
        *,
        paths: Paths | None = None,
        on_question: OnQuestion | None = None,
    ) -> Self:
        """Return a host of a configuration file; None is the user's own.

        Raises:
            ConfigError: The file is wrong.
        """
        places = paths or user_paths()
        file = None if config is None else Path(config)
        return cls(load_settings(file, paths=places), places, on_question=on_question)

    async def __aenter__(self) -> Self:
        self._wired = await self._stack.enter_async_context(
            WiredHost.open(self._loaded, self._paths)
        )
        for name, file in self._added.items():
            self._wired.agents.library.add(name, file)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wired = None
        await self._stack.__aexit__(kind, error, trace)

    def __enter__(self) -> Self:
        self._portal = self._sync.enter_context(start_blocking_portal())
        self._sync.enter_context(self._portal.wrap_async_context_manager(self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._portal = None
        self._sync.__exit__(kind, error, trace)

    def add_agent(self, name: str, file: Path | str) -> None:
        """Add an agent from a file of any place, under a name.

        Raises:
            ConfigError: The file is wrong; before the host is open this is told when it opens.
        """
        self._added[name] = Path(file).absolute()
        if self._wired is not None:
            self._wired.agents.library.add(name, self._added[name])
            self._wired.agents.provider.changed()

    async def chat(
        self,
        message: str,
        *,
        agent_name: str | None = None,
        thread: str = "",
        on_text: Callable[[str], None] | None = None,
    ) -> "Outcome":
        """Return what an agent answers.

        Args:
            message: What it is asked.
            agent_name: Which agent; None lets the host choose, and `chosen` says why.
            thread: The conversation to go on with, from an earlier outcome.
            on_text: Takes text as it streams.

        Raises:
            NotFoundError: There is no such agent or conversation.
        """
        from host.agents.order import Order  # noqa: PLC0415 - pydantic-ai loads slowly

        agents = self._opened().agents
        session = _ProgramSession(self._principal(), "cli")
        session.answer = self._on_question
        session.capabilities = {"elicitation": {}} if self._on_question is not None else {}
        chosen = ""
        if agent_name is None:
            choice = await agents.router.choose(session.principal, message)
            agent_name, chosen = choice.agent, choice.reason
        order = Order(agent=agent_name, content=message, thread=thread, chosen=chosen)
        active = await agents.runner.start(QuietExchange(session, None), order)

        def hear(event: Event) -> None:
            if on_text is not None and event.kind == "delta":
                on_text(str(event.data["text"]))

        stop = agents.hub.listen(active.run.id, hear)
        try:
            return await active.wait()
        finally:
            stop()

    async def start_server(self, port: int = 8765, *, no_auth: bool = False) -> None:
        """Serve MCP clients over HTTP and the private socket, until cancelled or stopped.

        Raises:
            DaemonError: A daemon runs already, or the port is taken.
        """
        wired = self._opened()
        with only_daemon(self._paths):
            await Daemon(wired, DaemonOptions(port=port, no_auth=no_auth)).run()

    def chat_sync(
        self, message: str, *, agent_name: str | None = None, thread: str = ""
    ) -> "Outcome":
        """Return what `chat` does, to a program without an event loop."""

        async def work() -> "Outcome":
            return await self.chat(message, agent_name=agent_name, thread=thread)

        return self._opened_portal().call(work)

    def start_server_sync(self, port: int = 8765, *, no_auth: bool = False) -> None:
        """Do what `start_server` does, in a program without an event loop."""

        async def work() -> None:
            await self.start_server(port, no_auth=no_auth)

        self._opened_portal().call(work)

    def _principal(self) -> Principal:
        return Principal(LOCAL_USER, "python", attended=self._on_question is not None)

    def _opened(self) -> WiredHost:
        if self._wired is None:
            raise HostError("The host is not open.", next_step="Write `async with Host…`.")
        return self._wired

    def _opened_portal(self) -> BlockingPortal:
        if self._portal is None:
            raise HostError("The host is not open.", next_step="Write `with Host…`.")
        return self._portal


class _ProgramSession(QuietSession):
    """A session whose questions a function of the program answers."""

    answer: OnQuestion | None = None

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        if self.answer is None or method != "elicitation/create":
            raise RpcError(METHOD_NOT_FOUND, f"Nobody is there to answer {method}.")
        yes = await self.answer(str((params or {}).get("message")))
        return {"action": "accept" if yes else "decline", "content": {}}
