"""What the bridge remembers: what a new daemon has to be told, and what the old one took."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from host.cli.bridge import Bridge
from host.cli.lines import Tally, read_lines
from host.orchestrator.tally import open_tally


def told(*requests: tuple[str, dict[str, str]]) -> list[tuple[str, dict[str, str]]]:
    """What a bridge would say again after these requests."""
    bridge = Bridge([])
    for number, (method, params) in enumerate(requests):
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        bridge._note(json.dumps(message).encode() + b"\n")
    again = [json.loads(line) for line in bridge._remembered.values()]
    return [(one["method"], one["params"]) for one in again]


@pytest.mark.parametrize("wrong", [True, False, None, 1.5, [1], {}])
def test_no_answer_is_waited_for_under_what_is_no_id(wrong: object):
    bridge = Bridge([])
    for request_id in (wrong, 1, "a"):
        message = {"jsonrpc": "2.0", "id": request_id, "method": "ping"}
        bridge._note(json.dumps(message).encode() + b"\n")
    assert list(bridge._in_flight) == ["1", '"a"']


A, B = {"uri": "a://1"}, {"uri": "b://2"}


def test_a_subscription_that_was_ended_is_not_made_again():
    subscribe, unsubscribe = "resources/subscribe", "resources/unsubscribe"
    assert told((subscribe, A), (subscribe, B), (unsubscribe, A)) == [(subscribe, B)]
    assert told((subscribe, A), (unsubscribe, A), (subscribe, A)) == [(subscribe, A)]


def test_only_the_last_log_level_is_said_again():
    level = "logging/setLevel"
    assert told((level, {"level": "debug"}), (level, {"level": "error"})) == [
        (level, {"level": "error"})
    ]


def fed(*parts: bytes) -> list[bytes]:
    """What the bridge reads of a client that writes these."""
    source, sink = os.pipe()

    def write() -> None:
        with os.fdopen(sink, "wb") as file:
            for part in parts:
                file.write(part)
                file.flush()

    threading.Thread(target=write).start()
    try:
        return list(read_lines(source))
    finally:
        os.close(source)


def test_lines_are_whole_whatever_pieces_they_come_in():
    assert fed(b"a", b"b\nc\n\nd", b"\n", b"e") == [b"ab", b"c", b"", b"d", b"e"]
    assert fed() == [b""]


def test_a_line_of_fifty_megabytes_is_read_once_and_not_again_with_every_piece():
    small, large = b"x" * 6_250_000, b"x" * 50_000_000
    took: list[float] = []
    for line in (small, large):
        before = time.thread_time()
        assert fed(line + b"\n", b"next") == [line, b"next"]
        took.append(time.thread_time() - before)
    assert took[1] < 24 * took[0] + 0.05  # eight times as long; with its square, sixty-four times


def test_a_tally_tells_what_was_taken_after_its_writer_is_gone(tmp_path: Path):
    mine = Tally(str(tmp_path / "host.sock"))
    with mine.begin() as path:
        theirs = open_tally(path, tmp_path)
    mine.sent = 3
    for _ in range(2):
        theirs.count()
    theirs.close()
    assert mine.taken() == 2
    assert list(tmp_path.iterdir()) == []


def test_a_daemon_that_keeps_no_tally_is_taken_to_have_heard_everything(tmp_path: Path):
    mine = Tally(str(tmp_path / "host.sock"))
    with mine.begin():
        mine.sent = 3
    assert mine.taken() == 3


@pytest.mark.parametrize(
    "name", ["other.tally/../x.tally", "host.yaml", "../x.tally", "link.tally"]
)
def test_no_other_file_is_written_to_as_a_tally(tmp_path: Path, name: str):
    run = tmp_path / "run"
    run.mkdir()
    for file in (run / "host.yaml", tmp_path / "x.tally", run / "x.tally"):
        file.write_text("mine")
    (run / "link.tally").symlink_to(tmp_path / "x.tally")
    tally = open_tally(f"{run}/{name}", run)
    tally.count()
    tally.close()
    assert {file.read_text() for file in (run / "host.yaml", tmp_path / "x.tally")} == {"mine"}
