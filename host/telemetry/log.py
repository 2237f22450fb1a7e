"""The log on standard error: text for people or one JSON object a line, without secrets."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from typing_extensions import override

from host.config.settings import LogConfig
from host.telemetry.activity import Activity, current_activity

Redact = Callable[[str], str]

QUIET = ("uvicorn", "watchfiles", "aiohttp", "opentelemetry", "alembic")
"""Loggers whose informative messages are noise here; with level `debug` they are heard."""

CONTEXT = ("server", "session", "call_id", "trace_id", "span_id")
"""What a line says of the call it belongs to, in this order."""

_BIDIRECTIONAL = (0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_CONTROLS = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != ord("\t")},
    **{code: f"\\u{code:04x}" for code in _BIDIRECTIONAL},
    ord("\n"): "\n  ",
}


class LineFormatter(logging.Formatter):
    """What both formats share.

    Args:
        redact: Hides secrets in a text.
    """

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def message_of(self, record: logging.LogRecord) -> str:
        """Return a record's message without secrets."""
        return self._redact(record.getMessage())

    def error_of(self, record: logging.LogRecord) -> str | None:
        """Return the traceback of a record, if it has one, without secrets."""
        if record.exc_info and record.exc_info[0] is not None:
            return self._redact(self.formatException(record.exc_info))
        return None


class TextFormatter(LineFormatter):
    """Lines for people.

    What servers and clients say gets into messages, so control characters are made visible and
    further lines are indented: nobody can forge a line or play tricks on a terminal.

    Args:
        redact: Hides secrets in a text.
        timed: Whether lines bear time, level and origin, as a file needs and a terminal does not.
    """

    def __init__(self, redact: Redact, *, timed: bool) -> None:
        super().__init__(redact)
        self._timed = timed

    @override
    def format(self, record: logging.LogRecord) -> str:
        text = self.message_of(record)
        error = self.error_of(record)
        text = (f"{text}\n{error}" if error else text).translate(_CONTROLS)
        if not self._timed:
            return text if record.levelno < logging.WARNING else f"{_level(record)}: {text}"
        when = datetime.fromtimestamp(record.created, UTC).astimezone()
        told = "".join(
            f" {name}={value}"
            for name, value in _context(record).items()
            if name in ("call_id", "trace_id")
        )
        stamp = when.isoformat(sep=" ", timespec="milliseconds")
        return f"{stamp} {_level(record).upper()} {record.name}: {text}{told}"


class JsonFormatter(LineFormatter):
    """One JSON object a line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, str] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": _level(record),
            "logger": record.name,
            "message": self.message_of(record),
            **_context(record),
        }
        error = self.error_of(record)
        if error is not None:
            line["error"] = error
        # ASCII alone: what a server said cannot break the line for any reader.
        return json.dumps(line)


def configure_log(
    config: LogConfig,
    redact: Redact,
    *,
    timed: bool,
    stream: TextIO | None = None,
    file: Path | None = None,
) -> None:
    """Send every logger of the process to standard error; called again, it replaces the format.

    Args:
        config: Level and format.
        redact: Hides secrets in a text.
        timed: Whether text lines bear time, level and origin.
        stream: Where lines go instead.
        file: Where timed lines go as well, after those that are there.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(stream or sys.stderr)]
    if file is not None:
        handlers.append(logging.FileHandler(file, encoding="utf-8", delay=True))
    for handler, dated in zip(handlers, (timed, True), strict=False):
        formatter = JsonFormatter(redact) if config.format == "json" else None
        handler.setFormatter(formatter or TextFormatter(redact, timed=dated))
    level = logging.getLevelNamesMapping()[config.level.upper()]
    logging.basicConfig(handlers=handlers, level=level, force=True)
    logging.captureWarnings(capture=True)
    for name in QUIET:
        noisy = level if config.level == "debug" else max(level, logging.WARNING)
        logging.getLogger(name).setLevel(noisy)


def _level(record: logging.LogRecord) -> str:
    return record.levelname.lower()


def _context(record: logging.LogRecord) -> dict[str, str]:
    """Return what is known of the call; what the message says itself comes before the activity."""
    activity = current_activity()
    found = ((name, _known(record, activity, name)) for name in CONTEXT)
    return {name: value for name, value in found if value}


def _known(record: logging.LogRecord, activity: Activity | None, name: str) -> str | None:
    given = getattr(record, name, None)
    return str(given) if given else getattr(activity, name, None)
