"""`host chat`: a conversation with an agent in the terminal."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from host.cli.answer_files import save_answer_files
from host.domain.errors import DaemonError, HostError
from host.domain.jsonrpc import Json
from host.domain.protocol import object_member

if TYPE_CHECKING:
    from host.cli.agent_client import AgentClient
    from host.cli.chat_screen import Screen
    from host.cli.chat_session import ChatSession


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command("chat")(chat)


def chat(
    agent: str = typer.Argument("", help="The agent; without one the host chooses by message."),
    model: str = typer.Option("", help="A model in place of the agent's own."),
    resume: str = typer.Option("", help="A conversation: its name, or a run's id."),
) -> None:
    """Talk with an agent. /help lists the commands, Ctrl-C stops the step, Ctrl-D leaves."""
    asyncio.run(_chat(agent, model, resume))


@dataclass
class _Step:
    """The message that is being answered, if any is."""

    task: "asyncio.Task[Json] | None" = None

    def stop(self) -> bool:
        """End it; return whether there was one."""
        return self.task is not None and self.task.cancel()


async def _chat(agent: str, model: str, resume: str) -> None:
    from host.cli.agent_client import open_client
    from host.cli.ask import answer_question
    from host.cli.chat_screen import Screen
    from host.cli.chat_session import ChatSession

    screen, step = Screen(), _Step()

    async def question(method: str, params: Json) -> Json:
        return await answer_question(method, params, screen.read_line, screen.say, stop=step.stop)

    async with open_client(question if screen.interactive else None) as client:
        session = ChatSession(client, screen, agent=agent, model=model)
        if agent:
            await session.check_agent()
        if resume:
            await session.resume(resume)
        screen.greet(session.agent or "whichever agent fits", await session.words())
        await _talk(client, session, screen, step)


async def _talk(
    client: "AgentClient", session: "ChatSession", screen: "Screen", step: _Step
) -> None:
    """Take messages and commands until the end."""
    while True:
        try:
            line = await screen.read_message(session.prompt())
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        text = line.strip()
        if not text:
            continue
        try:
            if text.startswith("/"):
                if not await session.command(text):
                    return
            else:
                await _turn(client, session, screen, step, text)
        except DaemonError:
            raise
        except HostError as error:
            screen.say(str(error))


async def _turn(
    client: "AgentClient", session: "ChatSession", screen: "Screen", step: _Step, text: str
) -> None:
    """Send one message; Ctrl-C stops it and nothing else."""
    from host.cli.approving import Attendant

    attendant = Attendant(
        screen.read_line, screen.say, read_secret=screen.read_secret, stop=step.stop
    )
    attending = attendant.attending() if screen.interactive else contextlib.nullcontext()
    async with attending:
        step.task = asyncio.ensure_future(session.send(text, also=attendant.hear))
        try:
            async with _interrupts(step.task):
                result = await step.task
        except asyncio.CancelledError:
            screen.pause()
            screen.say("stopped.")
            return
        finally:
            await client.drop_questions()
    screen.pause()
    for line in save_answer_files(result, Path.cwd()):
        screen.say(line)
    if result.get("isError") is True:
        screen.fail(object_member(result, "structuredContent"), result)


@contextlib.asynccontextmanager
async def _interrupts(task: "asyncio.Task[Json]") -> AsyncGenerator[None]:
    """Have Ctrl-C cancel a task while the block runs."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        yield  # asyncio has no signal handlers there: Ctrl-C ends the program
        return
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
