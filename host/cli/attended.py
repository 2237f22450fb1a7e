"""Calls that a terminal waits for: the person at it, if there is one, is asked meanwhile."""

import asyncio
import sys
from typing import TYPE_CHECKING

from host.cli.agent_client import AgentClient
from host.cli.approving import Attendant
from host.cli.ask import answer_question, can_ask
from host.cli.line import read_line, read_secret
from host.domain.jsonrpc import Json

if TYPE_CHECKING:
    from host.cli.run import Printer


class Attended:
    """What a command shows and asks while it waits.

    Args:
        shown: Prints what happens.
    """

    def __init__(self, shown: "Printer") -> None:
        self._shown = shown
        self._reading = asyncio.Lock()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - commands run in tasks
        self._stop = task.cancel

    async def question(self, method: str, params: Json) -> Json:
        """Return the person's answer to a question of the host."""
        return await answer_question(method, params, self._read, self._show, stop=self._stop)

    async def call(self, client: AgentClient, tool: str, arguments: Json) -> Json:
        """Return the result of a tool that runs an agent.

        Raises:
            DaemonError: It could not be called.
        """
        if not can_ask():
            return await client.call(tool, arguments, on_event=self._shown.hear)
        attendant = Attendant(self._read, self._show, read_secret=self._secret, stop=self._stop)

        def hear(event: Json) -> None:
            self._shown.hear(event)
            attendant.hear(event)

        async with attendant.attending():
            return await client.call(tool, arguments, on_event=hear)

    async def _read(self, prompt: str) -> str:
        async with self._reading:
            return await read_line(prompt)

    async def _secret(self, prompt: str) -> str:
        async with self._reading:
            return await read_secret(prompt)

    def _show(self, text: str) -> None:
        self._shown.end()
        print(text, file=sys.stderr)
