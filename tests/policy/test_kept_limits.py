"""What limits have used up, over the end of a process."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from host.policy import kept_limits
from host.policy.kept_limits import SESSION_LIFE, KeptCounters
from host.policy.limit import CounterKey, Span

ROOT = Path(__file__).parents[2]
DAY = CounterKey("mine/few", "calls", "day", "ann/cursor")
SPENT = CounterKey("mine/dear", "cost", "day", "*")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "limits.jsonl"


def test_what_was_used_is_used_in_the_next_process(file: Path):
    first = KeptCounters(file)
    for _ in range(3):
        first.add(DAY)
    first.add(SPENT, 0.25)
    again = KeptCounters(file)
    assert (again.read(DAY), again.read(SPENT)) == (3, 0.25)
    again.add(DAY)
    assert KeptCounters(file).read(DAY) == 4
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_kill_9_forgets_nothing_that_was_counted(file: Path):
    script = (
        "import sys; from pathlib import Path; from host.policy.limit import CounterKey\n"
        "from host.policy.kept_limits import KeptCounters\n"
        "key = CounterKey('mine/few', 'calls', 'day', 'ann/cursor')\n"
        "KeptCounters(Path(sys.argv[1])).add(key)\n"
        "print('counted', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        os.kill(process.pid, signal.SIGKILL)
    assert KeptCounters(file).read(DAY) == 1


def test_each_span_ends_in_a_later_process_when_it_would_have_in_the_first(file: Path):
    clock = [1_000_000.0]
    keys = {span: CounterKey("r", "calls", span, "s1") for span in get_args(Span)}
    counters = KeptCounters(file, clock=lambda: clock[0])
    for key in keys.values():
        counters.add(key)
    for later, left in (
        (50, {*keys}),
        (70, {"hour", "day", "session"}),
        (3700, {"day", "session"}),
    ):
        clock[0] = 1_000_000.0 + later
        again = KeptCounters(file, clock=lambda: clock[0])
        assert {span for span, key in keys.items() if again.read(key)} == left
    clock[0] = 1_000_000.0 + SESSION_LIFE * 2
    assert not any(KeptCounters(file, clock=lambda: clock[0]).read(key) for key in keys.values())


def test_a_torn_or_strange_line_is_left_out_and_the_rest_counts(file: Path):
    KeptCounters(file).add(DAY)
    with file.open("ab") as content:
        for line in (b"\n", b"{}\n", b"[1]\n", b'["r","x","day","a",1,1,1]\n', b"\xff\n", b'["mi'):
            content.write(line)
    assert KeptCounters(file).read(DAY) == 1


def test_a_large_file_is_written_anew_with_what_counts(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept_limits, "LARGEST", 2000)
    counters = KeptCounters(file)
    for number in range(500):
        counters.add(DAY)
        counters.add(CounterKey("r", "calls", "session", f"s{number % 3}"))
    assert file.stat().st_size < 4000
    again = KeptCounters(file)
    assert again.read(DAY) == 500
    assert sum(again.read(CounterKey("r", "calls", "session", f"s{n}")) for n in range(3)) == 500


def test_a_file_that_cannot_be_written_stops_no_counting(tmp_path: Path):
    counters = KeptCounters(tmp_path / "missing" / "limits.jsonl")
    counters.add(DAY)
    assert counters.read(DAY) == 1
