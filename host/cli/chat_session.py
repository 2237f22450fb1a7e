"""A conversation in the terminal: who is talked with, what was said, and the commands about it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from host.cli.run import text_of
from host.cli.talk import render_talk
from host.domain.errors import ConfigError, NotFoundError
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import list_member, object_member
from host.domain.shell import quoted

if TYPE_CHECKING:
    from host.cli.agent_client import AgentClient
    from host.cli.chat_screen import Screen

OWN_MODEL = "-"
"""What stands for the agent's own model in `/model`."""

HELP = """\
/agents [NAME]   list the agents, or talk with another one
/tools           list what the agent can call
/calls           show the last message's calls whole
/model [NAME]    show the model, use another one, or - for the agent's own
/memory TEXT     search your memory
/cost            tokens and cost of this conversation
/save NAME       give this conversation a name
/resume [NAME]   list conversations, or go on with one
/undo            take the last message and its answer back
/export [FILE]   write this conversation as Markdown
/new             begin another conversation
/quit            leave"""


class ChatSession:
    """One conversation.

    Args:
        client: The daemon.
        screen: Where it is shown.
        agent: Who is talked with; empty lets the host choose by message.
        model: In place of the agent's own; empty leaves it.
    """

    def __init__(
        self, client: "AgentClient", screen: "Screen", *, agent: str = "", model: str = ""
    ) -> None:
        self._client, self._screen = client, screen
        self.agent, self.model = agent, model
        self.thread = ""
        self.runs: list[str] = []
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "/help": self._help,
            "/agents": self._agents,
            "/tools": self._tools,
            "/calls": self._calls,
            "/model": self._model,
            "/memory": self._memory,
            "/cost": self._cost_of,
            "/save": self._save,
            "/resume": self._resume,
            "/undo": self._undo,
            "/export": self._export,
            "/new": self._new,
        }

    def prompt(self) -> str:
        """Return what stands before the line that is typed."""
        return f"{self.agent or 'you'}> "

    async def words(self) -> list[str]:
        """Return what can be completed."""
        agents = [str(one.get("name")) for one in await self._known_agents()]
        return [*self._commands, "/quit", *(f"/agents {name}" for name in agents)]

    async def check_agent(self) -> None:
        """Return if the agent is there.

        Raises:
            ConfigError: It is not.
        """
        names = [str(one.get("name")) for one in await self._known_agents()]
        if self.agent not in names:
            raise ConfigError(str(NotFoundError("agent", self.agent, names)))

    async def send(self, text: str, *, also: Callable[[Json], None]) -> Json:
        """Send a message and return the result of the run.

        Args:
            text: The message.
            also: Takes the events of the run, beside the screen.
        """

        def hear(event: Json) -> None:
            self._hear(event)
            also(event)

        arguments: Json = {"message": text}
        if self.agent:
            arguments["agent"] = self.agent
        if self.thread:
            arguments["thread"] = self.thread
        if self.model:
            arguments["model"] = self.model
        self._screen.calls.clear()
        return await self._client.call("orchestrator__run_agent", arguments, on_event=hear)

    def _hear(self, event: Json) -> None:
        run = str(event.get("run"))
        if event.get("inside"):
            self._screen.hear(event)
            return
        if event.get("kind") == "started" and run not in self.runs:
            self.runs.append(run)
            self.thread = self.thread or run
        if event.get("kind") == "started" and not self.agent:
            reason = object_member(event, "data").get("chosen")
            self._screen.say(f"{object_member(event, 'data').get('agent')}: {reason}")
        self._screen.hear(event)

    async def command(self, line: str) -> bool:
        """Carry out a command; return whether the conversation goes on.

        Raises:
            NotFoundError: There is no such command.
        """
        name, _, rest = line.partition(" ")
        if name in ("/quit", "/exit"):
            return False
        work = self._commands.get(name)
        if work is None:
            raise NotFoundError("command", name, [*self._commands, "/quit"])
        await work(rest.strip())
        return True

    async def resume(self, name: str) -> None:
        """Go on with a conversation.

        Raises:
            ConfigError: There is none of this name.
        """
        found = await self._ask("find_thread", {"name": name})
        self.thread = str(found.get("thread"))
        runs = [as_object(one) or {} for one in list_member(found, "runs")]
        self.runs = [str(run.get("id")) for run in runs]
        if not runs:
            self.thread = ""  # all of it was taken back
            self._screen.say(f"Nothing is left of the conversation {name}; this is a new one.")
            return
        self.agent = str(runs[-1].get("name"))
        self._screen.show_markdown(await self._written())

    async def _ask(self, tool: str, arguments: Json | None = None) -> Json:
        result = await self._client.call(f"orchestrator__{tool}", arguments or {})
        if result.get("isError") is True:
            raise ConfigError(text_of(result))
        return object_member(result, "structuredContent")

    async def _known_agents(self) -> list[Json]:
        found = await self._ask("list_agents")
        return [as_object(one) or {} for one in list_member(found, "agents")]

    async def _help(self, rest: str) -> None:
        self._screen.say(HELP)

    async def _agents(self, rest: str) -> None:
        agents = await self._known_agents()
        names = [str(one.get("name")) for one in agents]
        if rest:
            if rest not in names:
                raise NotFoundError("agent", rest, names)
            self.agent = rest
            return
        for one in agents:
            self._screen.say(f"{one.get('name')}  {one.get('model')}  {one.get('description')}")

    async def _tools(self, rest: str) -> None:
        """Print what the agent can call; where the host chooses one, what there is."""
        if self.agent:
            found = await self._ask("list_tools", {"agent": self.agent})
        else:
            found = await self._client.request("tools/list")
        tools = [as_object(one) or {} for one in list_member(found, "tools")]
        for tool in tools:
            lines = str(tool.get("description") or "").strip().splitlines()[:1]
            self._screen.say(f"{tool.get('name')}  {''.join(lines)[:80]}")
        if not tools:
            self._screen.say(f"{self.agent} calls no tools.")

    async def _calls(self, rest: str) -> None:
        self._screen.unfold()

    async def _model(self, rest: str) -> None:
        if rest:
            self.model = "" if rest == OWN_MODEL else rest
        agents = {str(one.get("name")): one for one in await self._known_agents()}
        own = agents.get(self.agent, {}).get("model", "the agent's own")
        self._screen.say(f"model: {self.model or own}")

    async def _memory(self, rest: str) -> None:
        if not rest:
            raise ConfigError("What is to be found?", next_step="/memory TEXT")
        found = await self._ask("search_memory", {"query": rest})
        memories = [as_object(one) or {} for one in list_member(found, "memories")]
        for one in memories:
            self._screen.say(f"- {one.get('text')}")
        if not memories:
            self._screen.say("Nothing.")

    async def _cost_of(self, rest: str) -> None:
        found = await self._ask("find_thread", {"name": self.thread}) if self.thread else {}
        tokens, cost = int(found.get("tokens") or 0), float(found.get("cost") or 0.0)
        count = len(self.runs)
        self._screen.say(f"{tokens:,} tokens, ${cost:.4f}, {count} message{'s' * (count != 1)}")

    async def _save(self, rest: str) -> None:
        if not rest or not self.thread:
            raise ConfigError("There is nothing to save yet, or no name.", next_step="/save NAME")
        await self._ask("save_thread", {"name": rest, "thread": self.thread})
        self._screen.say(f"Saved; `host chat --resume {quoted(rest)}` goes on with it.")

    async def _resume(self, rest: str) -> None:
        if rest:
            await self.resume(rest)
            return
        found = await self._ask("list_threads")
        for one in list_member(found, "threads"):
            row = as_object(one) or {}
            name = row.get("names") or row.get("thread")
            self._screen.say(f"{name}  {row.get('agent')}  {row.get('title')}")

    async def _undo(self, rest: str) -> None:
        if not self.runs:
            raise ConfigError("There is nothing to take back.")
        await self._ask("undo_run", {"run": self.runs.pop()})
        if not self.runs:
            self.thread = ""
        self._screen.say("Taken back; what tools did stays done.")

    async def _export(self, rest: str) -> None:
        if not self.runs:
            raise ConfigError("Nothing was said in this conversation yet.")
        text = await self._written()
        if not rest:
            self._screen.say(text)
            return
        write_new(Path(rest), text)
        self._screen.say(f"Written to {rest}.")

    async def _new(self, rest: str) -> None:
        self.thread, self.runs = "", []
        self._screen.say("A new conversation.")

    async def _written(self) -> str:
        """Return the conversation as Markdown."""
        found = [await self._ask("read_run", {"run": run}) for run in self.runs]
        return render_talk(
            [as_object(one) or {} for one in list_member(run, "events")] for run in found
        )


def write_new(file: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        ConfigError: It is there, or cannot be made.
    """
    try:
        with file.expanduser().open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        taken = isinstance(error, FileExistsError)
        raise ConfigError(
            f"{file} cannot be made: {error.strerror}.",
            next_step="Choose another name; no file is written over." if taken else None,
        ) from error
