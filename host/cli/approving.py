"""Approvals in place: while a run goes on, its terminal is asked about the calls that wait."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from host.cli.tools import printable
from host.config.runtime import socket_path
from host.domain.errors import DaemonError
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import list_member

Read = Callable[[str], Awaitable[str]]
"""Shows a prompt and returns the line that was typed."""


async def command(method: str, params: Json | None = None) -> Any:  # noqa: ANN401 - any JSON
    """Return the result of a command to the daemon; unlike a thread, it can be cancelled.

    Raises:
        DaemonError: The daemon refused, or is gone.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket_path()), limit=1 << 26)
    except OSError as error:
        raise DaemonError("The daemon is gone.", next_step="See `host logs`.") from error
    try:
        hello = {"hello": "control", "method": method, "params": params or {}}
        writer.write(json.dumps(hello).encode() + b"\n")
        line = await reader.readline()
    finally:
        writer.close()
    if not line:
        raise DaemonError("The daemon closed the connection.", next_step="See `host logs`.")
    answer = json.loads(line)
    if "error" in answer:
        raise DaemonError(answer["error"])
    return answer["result"]


async def attend_approvals(read: Read, show: Callable[[str], None], *, read_secret: Read) -> None:
    """Ask the person at this terminal about each call that waits, until cancelled.

    Args:
        read: Asks for a line.
        show: Prints text.
        read_secret: Asks for a line that is not shown.
    """
    seen: set[str] = set()
    since: int | None = None
    while True:
        try:
            found: Json = await command("approvals.watch", {"since": since})
        except DaemonError:
            return  # this daemon asks nobody, or is gone, which the run itself will tell
        version = found.get("version")
        since = version if isinstance(version, int) else None
        for one in list_member(found, "approvals"):
            waiting = as_object(one) or {}
            name = str(waiting.get("id"))
            if waiting.get("agent") and name not in seen:
                seen.add(name)
                await _ask(name, read, show, read_secret=read_secret)
        if since is None:
            await asyncio.sleep(1)


async def _ask(name: str, read: Read, show: Callable[[str], None], *, read_secret: Read) -> None:
    """Show one approval whole, and pass the answer on; only `y` approves."""
    try:
        waiting: Json = await command("approvals.show", {"id": name})
        if waiting.get("state") != "pending":
            return
        for line in approval_text(waiting):
            show(line)
        exact = waiting.get("constrained") is True
        what = "these arguments" if exact else "any arguments"
        choices = f"[y]es, yes to {what} for this [s]ession, [N]o"
        typed = (await read(f"Allow? {choices}: ")).strip().lower()
        answer: Json = {
            "id": name,
            "approve": typed in ("y", "yes", "s", "session"),
            "digest": waiting["digest"],
            "channel": "terminal",
        }
        if typed in ("s", "session"):
            answer["grant"] = {"scope": "session", "exact": exact}
        if (await command("approvals.guarded"))["passphrase"]:
            answer["passphrase"] = await read_secret("Passphrase: ")
        await command("approvals.answer", answer)
    except (EOFError, KeyboardInterrupt):
        show(f"{name} is not answered; `host approvals` has it.")
    except DaemonError as error:
        show(str(error))


def approval_text(waiting: Json) -> list[str]:
    """Return what a person has to see before they answer: who, what, why, and all arguments."""
    reasons = "; ".join(str(reason) for reason in list_member(waiting, "reasons"))
    given = json.dumps(waiting.get("arguments"), indent=2, ensure_ascii=False)
    return [
        f"{waiting.get('id')}: {printable(str(waiting.get('caller')))} wants to call "
        f"{printable(str(waiting.get('name')))}",
        *(printable(line) for line in given.splitlines()),
        *([f"because {printable(reasons)}"] if reasons else []),
    ]
