"""One log file a plugin: what it logged and printed, and how its calls failed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from host.sandbox.broker import LogLevel

MAX_BYTES = 2_000_000
"""Size at which a log is set aside as `.1`, in place of the one before."""

MAX_LINE = 8_000
"""Characters of one message that are kept."""


class MessageLog(Protocol):
    """Where a plugin's messages go."""

    def write(self, level: LogLevel, message: str) -> None:
        """Take a message."""
        ...


class PluginLog:
    """Writes a plugin's log.

    Args:
        folder: Folder of the daemon's logs.
        name: The plugin's name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = log_path(folder, name)

    def write(self, level: LogLevel, message: str) -> None:
        """Add a message; each of its lines becomes one of the log, controls made visible."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        lines = message[:MAX_LINE].splitlines() or [""]
        text = "".join(f"{now} {level:<7} {visible_line(line)}\n" for line in lines)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.path.exists() and self.path.stat().st_size > MAX_BYTES:
            self.path.replace(self.path.with_suffix(".log.1"))
        with self.path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)


def log_path(folder: Path, name: str) -> Path:
    """Return where a plugin's log is."""
    return folder / f"plugin-{name}.log"


def visible_line(line: str) -> str:
    """Return a line with its controls made visible."""
    return "".join(c if c == "\t" or c.isprintable() else f"\\x{ord(c):02x}" for c in line)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a plugin's log."""

    at: str
    level: str
    message: str


def read_log(path: Path) -> list[LogLine]:
    """Return the lines of a log, oldest first."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    parts = [line.partition(" ") for line in lines]
    return [LogLine(at, rest[:7].strip(), rest[8:]) for at, _, rest in parts]
