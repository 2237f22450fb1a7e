"""How a plugin that is run from the terminal reaches tools: as a client of the daemon."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from host.cli.client import call

if TYPE_CHECKING:
    from host.sandbox.broker import Progress


class DaemonPath:
    """Calls tools through the daemon, which is started if none runs."""

    async def call(
        self, name: str, arguments: dict[str, Any], *, reveal: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return a tool's result; nothing is revealed, since secrets stay in the daemon."""
        return await to_thread.run_sync(call, "tools/call", {"name": name, "arguments": arguments})

    def progress(self, note: "Progress") -> None:
        """Print it."""
        total = "" if note.total is None else f"/{note.total:g}"
        print(f"{note.done:g}{total} {note.message}".rstrip(), file=sys.stderr)
