import io
import json
import logging
import warnings
from collections.abc import Generator

import pytest

from host.config.settings import LogConfig
from host.secrets.redaction import Redactor
from host.telemetry.activity import CURRENT, Activity, note_call
from host.telemetry.log import QUIET, configure_log

LEAKED = "sk-" + "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def own_root() -> Generator[None]:
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = kept
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)


def opened(*, timed: bool = True, **config: str) -> io.StringIO:
    stream = io.StringIO()
    redact = Redactor(secrets=["hunter2-hunter2"]).redact_text
    configure_log(LogConfig.model_validate(config), redact, timed=timed, stream=stream)
    return stream


def lines_of(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_says_when_how_bad_who_and_what():
    stream = opened(format="json")
    logging.getLogger("host.x").warning("server %r is slow", "a", extra={"server": "a"})
    (line,) = lines_of(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "host.x",
        "message": "server 'a' is slow",
        "server": "a",
    }


def test_a_line_said_while_a_call_is_served_names_the_call():
    stream = opened(format="json")
    activity = Activity("session-1", trace_id="ab" * 16, span_id="cd" * 8)
    token = CURRENT.set(activity)
    note_call("call-1", "files")
    logging.getLogger("host.x").info("now")
    activity.over = True
    logging.getLogger("host.x").info("afterwards, in a task that the call left behind")
    CURRENT.reset(token)
    during, after = lines_of(stream)
    assert {k: during[k] for k in ("server", "session", "call_id", "trace_id", "span_id")} == {
        "server": "files",
        "session": "session-1",
        "call_id": "call-1",
        "trace_id": "ab" * 16,
        "span_id": "cd" * 8,
    }
    assert after.keys() == {"time", "level", "logger", "message"}


@pytest.mark.parametrize("layout", ["json", "text"])
def test_secrets_are_hidden_in_messages_and_tracebacks(layout: str):
    stream = opened(format=layout)
    try:
        int(f"bad key {LEAKED}")
    except ValueError:
        logging.getLogger("host.x").exception("refused hunter2-hunter2")
    said = stream.getvalue()
    assert "Traceback" in said
    assert said.count("[redacted]") == 2
    assert LEAKED not in said
    assert "hunter2" not in said


@pytest.mark.parametrize("layout", ["json", "text"])
def test_a_message_cannot_forge_a_line_nor_steer_a_terminal(layout: str):
    stream = opened(format=layout)
    forged = "a\n2026-01-01 INFO host: all is well\r\x1b[2J\u2028\u202e"
    logging.getLogger("host.x").error("said: %s", forged)
    lines = stream.getvalue().splitlines()
    assert not any(line.startswith("2026-01-01 INFO") for line in lines)
    assert not set("\x1b\r\u2028\u202e") & set(stream.getvalue())


@pytest.mark.parametrize("name", ["uvicorn.error", "asyncio", "aiohttp.client", "py.warnings"])
def test_other_libraries_speak_the_same_way(name: str):
    stream = opened(format="json")
    if name == "py.warnings":
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    logging.getLogger(name).error("x")
    assert lines_of(stream)[-1]["logger"] == name


def test_library_chatter_is_heard_with_debug_only():
    stream = opened(level="info")
    logging.getLogger("uvicorn.error").info("Started server")
    assert stream.getvalue() == ""
    stream = opened(level="debug")
    logging.getLogger("uvicorn.error").debug("Started server")
    assert "Started server" in stream.getvalue()


def test_the_level_is_obeyed_and_can_be_changed_while_running():
    stream = opened(level="error", format="json")
    logging.getLogger("host.x").warning("no")
    later = opened(level="info", format="json")
    logging.getLogger("host.x").info("yes")
    assert stream.getvalue() == ""
    assert [line["message"] for line in lines_of(later)] == ["yes"]


def test_people_at_a_terminal_read_plain_sentences():
    stream = opened(timed=False)
    logging.getLogger("host.x").info("endpoint http://127.0.0.1")
    logging.getLogger("host.x").warning("slow")
    assert stream.getvalue() == "endpoint http://127.0.0.1\nwarning: slow\n"
