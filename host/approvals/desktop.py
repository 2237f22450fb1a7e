"""Says on the desktop that an approval waits."""

import logging
import shutil
import subprocess
import sys

import anyio

from host.approvals.approval import Approval
from host.approvals.text import escape
from host.domain.jsonrpc import Json

log = logging.getLogger(__name__)

LIMIT = 5.0
"""Seconds that the desktop may take."""


class DesktopHerald:
    """Shows a notification by the desktop's own program; without one it does nothing."""

    async def announce(self, event: str, approval: Approval, arguments: Json | None) -> None:
        """Show that an approval waits; what it is about is shown where it is answered."""
        if event != "asked":
            return
        text = f"{escape(approval.caller)} wants to call {escape(approval.name)} ({approval.id})"
        command = notifier(text)
        if command is None:
            log.debug("there is no program that shows notifications")
            return
        try:
            with anyio.fail_after(LIMIT):
                await anyio.run_process(command, check=False)
        except (OSError, TimeoutError, subprocess.SubprocessError) as error:
            log.debug("no notification was shown: %s", error)


def notifier(text: str) -> list[str] | None:
    """Return the command that shows a text; None where there is none."""
    if sys.platform == "darwin":
        # The text is an argument of the script and no part of it.
        script = 'on run {said}\ndisplay notification said with title "Approval needed"\nend run'
        return ["osascript", "-e", script, text]
    program = shutil.which("notify-send")
    return None if program is None else [program, "--app-name=host", "Approval needed", "--", text]
