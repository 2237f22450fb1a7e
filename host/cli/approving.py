"""Approvals in place: while a run goes on, its terminal is asked about its calls that wait."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from host.cli.agent_client import end_task
from host.cli.tools import printable
from host.config.runtime import socket_path
from host.domain.errors import DaemonError
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import list_member, object_member
from host.domain.wait import unbroken

Read = Callable[[str], Awaitable[str]]
"""Shows a prompt and returns the line that was typed."""

_NOT_ANSWERED = "is not answered; `host approvals` has it."
_LOOK_SECONDS = 5
"""For how long the end of a question waits to learn why."""


async def command(method: str, params: Json | None = None) -> Any:  # noqa: ANN401 - any JSON
    """Return the result of a command to the daemon; unlike a thread, it can be cancelled.

    Raises:
        DaemonError: The daemon refused, or is gone.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket_path()), limit=1 << 26)
        try:
            hello = {"hello": "control", "method": method, "params": params or {}}
            writer.write(json.dumps(hello).encode() + b"\n")
            line = await reader.readline()
        finally:
            writer.close()
    except OSError as error:
        raise DaemonError("The daemon is gone.", next_step="See `host logs`.") from error
    if not line:
        raise DaemonError("The daemon closed the connection.", next_step="See `host logs`.")
    answer = json.loads(line)
    if "error" in answer:
        raise DaemonError(answer["error"])
    return answer["result"]


class Attendant:
    """Asks the person at a terminal about the calls of one run, and of the runs inside it.

    Nobody else's: a `y` that was meant for one's own step must not let a stranger's call through.

    Args:
        read: Asks for a line.
        show: Prints text.
        read_secret: Asks for a line that is not shown.
        stop: Ends the run; called where Ctrl-C is typed instead of an answer.
    """

    def __init__(
        self,
        read: Read,
        show: Callable[[str], None],
        *,
        read_secret: Read,
        stop: Callable[[], object],
    ) -> None:
        self._read, self._show, self._read_secret = read, show, read_secret
        self._stop = stop
        self._heard: set[str] = set()
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    def hear(self, event: Json) -> None:
        """Take an event of the run; one that tells of an approval has the person asked."""
        name = approval_in(event)
        if name and name not in self._heard:
            self._heard.add(name)
            self._waiting.put_nowait(name)

    @contextlib.asynccontextmanager
    async def attending(self) -> AsyncGenerator[None]:
        """Ask while the block runs; no prompt is left over when it ends."""
        task = asyncio.create_task(self._attend())
        try:
            yield
        finally:
            await end_task(task)

    async def _attend(self) -> None:
        while True:
            name = await self._waiting.get()
            try:
                await self._ask(name)
            except DaemonError as error:
                self._show(str(error))

    async def _ask(self, name: str) -> None:
        """Show one approval whole, and pass the answer on, unless it is given elsewhere."""
        waiting: Json = await command("approvals.show", {"id": name})
        if waiting.get("state") != "pending":
            return
        guarded = (await command("approvals.guarded"))["passphrase"] is True
        for line in approval_text(waiting):
            self._show(line)
        exact = waiting.get("constrained") is True
        typing = asyncio.create_task(self._typed(name, exact=exact, guarded=guarded))
        decided = asyncio.create_task(_decided(name))
        try:
            await asyncio.wait({typing, decided}, return_when=asyncio.FIRST_COMPLETED)
        finally:  # where the step ends meanwhile, and this with it, the person is told as well
            await unbroken(self._close(name, typing, decided))
        if not typing.cancelled() and (answer := typing.result()):
            await command("approvals.answer", {**answer, "digest": waiting["digest"]})

    async def _close(
        self, name: str, typing: asyncio.Task[Json], decided: asyncio.Task[None]
    ) -> None:
        """Take the prompt away, and say why if nothing was typed."""
        try:
            await end_task(typing)
        finally:
            await end_task(decided)
        if typing.cancelled():
            self._show(await _ending_of(name))

    async def _typed(self, name: str, *, exact: bool, guarded: bool) -> Json:
        """Return what was typed as an answer; nothing where none was. Only y and s approve."""
        try:
            what = "these arguments" if exact else "any arguments"
            choices = f"[y]es, yes to {what} for this [s]ession, [N]o"
            typed = (await self._read(f"Allow? {choices}: ")).strip()
            approve = typed.lower() in ("y", "yes", "s", "session")
            answer: Json = {"id": name, "approve": approve, "channel": "terminal"}
            if typed.lower() in ("s", "session"):
                answer["grant"] = {"scope": "session", "exact": exact}
            if guarded:
                answer["passphrase"] = await self._read_secret("Passphrase: ")
        except EOFError:
            self._show(f"{name} {_NOT_ANSWERED}")
        except KeyboardInterrupt:
            self._show(f"{name} is not answered; it is taken back with its step.")
            self._stop()
        else:
            return answer
        return {}


async def _decided(name: str) -> None:
    """Return once an approval does not wait any more."""
    since: int | None = None
    try:
        while True:
            found: Json = await command("approvals.watch", {"since": since})
            version = found.get("version")
            since = version if isinstance(version, int) else None
            waiting = [as_object(one) or {} for one in list_member(found, "approvals")]
            if all(one.get("id") != name for one in waiting):
                return
    except DaemonError:  # it is gone, which ends the run as well
        await asyncio.get_running_loop().create_future()


async def _ending_of(name: str) -> str:
    """Say why an approval is not asked about any more."""
    state = "pending"
    with contextlib.suppress(DaemonError, TimeoutError):
        async with asyncio.timeout(_LOOK_SECONDS):
            state = (await command("approvals.show", {"id": name}))["state"]
    ways = {"pending": _NOT_ANSWERED, "withdrawn": "waits no more.", "expired": "has expired."}
    return f"{name} {ways.get(state, 'was answered elsewhere.')}"


def approval_in(event: Json) -> str:
    """Return the id of the approval that an event says is waited for; empty where it says none."""
    if event.get("kind") != "approval":
        return ""
    return str(object_member(event, "data").get("approval") or "")


def approval_text(waiting: Json) -> list[str]:
    """Return what a person has to see before they answer: who, what, why, and all arguments."""
    reasons = " ".join(_sentence(str(reason)) for reason in list_member(waiting, "reasons"))
    given = json.dumps(waiting.get("arguments"), indent=2, ensure_ascii=False)
    return [
        f"{waiting.get('id')}: {printable(str(waiting.get('caller')))} wants to call "
        f"{printable(str(waiting.get('name')))}",
        *(printable(line) for line in given.splitlines()),
        *([f"Why: {printable(reasons)}"] if reasons else []),
    ]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
