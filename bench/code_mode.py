"""Tokens and round trips of multi-step tasks: call by call, and as programs for `host__run_code`.

A scripted model that makes no mistakes does each task both ways, on a real host with the bundled
files server. What counts is what a model reads and writes: at each of its turns the definitions of
the tools it is shown and the conversation so far, and what it writes. Tokens are estimated as
characters / 4, so read the ratios. `parallel` is a model that asks for all independent calls in
one turn, the best that call by call can do.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from tests.fakes.gateway_scene import open_scene

CHARACTERS = 4
FILES = 24
Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """One task: what is asked, the calls that answer it turn by turn, and a program for it."""

    question: str
    turns: Sequence[Sequence[Call]]
    stubs: list[str]
    program: str


@dataclass
class Cost:
    """What a model read and wrote, in characters, and how often it was asked."""

    definitions: int
    conversation: int
    read: int = 0
    written: int = 0
    requests: int = 0
    seconds: float = 0.0
    results: list[str] = field(default_factory=list)

    def turn(self, written: str) -> None:
        self.requests += 1
        self.read += self.definitions + self.conversation
        self.written += len(written)
        self.conversation += len(written)


def reports() -> dict[str, str]:
    """Return CSV files whose totals differ."""
    files = {}
    for number in range(FILES):
        rows = [f"2031-{m:02d}-01,{(number * 37 + m * 11) % 97}.50,item {m}" for m in range(1, 13)]
        files[f"report-{number:02d}.csv"] = "day,amount,what\n" + "\n".join(rows) + "\n"
    return files


def tasks() -> dict[str, Task]:
    names = sorted(reports())
    reads = [("files__read_text", {"path": name}) for name in names]
    moves = [
        ("files__move", {"source": name, "target": name.replace("report", "2031")})
        for name in names[:12]
    ]
    add = (
        "from tools import files\n"
        "totals = {}\n"
        "for entry in files.list()['entries']:\n"
        "    text = files.read_text(path=entry['name'])['text']\n"
        "    rows = [line.split(',') for line in text.splitlines()[1:]]\n"
        "    totals[entry['name']] = sum(float(row[1]) for row in rows)\n"
        "best = max(totals, key=totals.get)\n"
        "(best, totals[best])\n"
    )
    rename = (
        "from tools import files\n"
        "for entry in files.list()['entries'][:12]:\n"
        "    name = entry['name']\n"
        "    files.move(source=name, target=name.replace('report', '2031'))\n"
        "'renamed'\n"
    )
    look = (
        "from tools import files\n"
        "page = files.read_text(path='report-03.csv')\n"
        "page['text'].splitlines()[2]\n"
    )
    listing = [("files__list", {})]
    return {
        "which of 24 files has the largest total": Task(
            "Which report has the largest total amount?",
            [listing, reads],
            ["files.list", "files.read_text"],
            add,
        ),
        "rename 12 files": Task(
            "Rename the first twelve reports from report-NN to 2031-NN.",
            [listing, moves],
            ["files.list", "files.move"],
            rename,
        ),
        "read one line of one file": Task(
            "What is in the second row of report-03.csv?",
            [[("files__read_text", {"path": "report-03.csv"})]],
            ["files.read_text"],
            look,
        ),
    }


def shown(tools: list[dict[str, Any]]) -> int:
    """Return the characters of what a model is told of tools."""
    kept = [{k: tool.get(k) for k in ("name", "description", "inputSchema")} for tool in tools]
    return len(json.dumps(kept))


async def spend(cost: Cost, client: Any, turns: Sequence[Sequence[Call]]) -> Cost:
    """Play a model that makes these calls, turn by turn, then answers."""
    for calls in turns:
        cost.turn("".join(json.dumps({"name": name, "input": given}) for name, given in calls))
        for name, given in calls:
            started = time.perf_counter()
            result = await client.call(name, given)
            cost.seconds += time.perf_counter() - started
            assert not result.get("isError"), result
            text = "".join(block.get("text", "") for block in result["content"])
            cost.results.append(text)
            cost.conversation += len(text)
    cost.turn("The answer, in a sentence of usual length.")
    return cost


async def measure(task: Task, how: str) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in reports().items():
            (Path(folder) / name).write_text(text)
        servers = {"files": {"bundled": "files", "settings": {"roots": [folder]}}}
        clients = {"http": {"expose": "code"}} if how == "program" else None
        async with open_scene(servers, clients=clients) as scene, scene.stateless() as client:
            await client.request("tools/list")
            tools = (await client.request("tools/list"))["tools"]
            cost = Cost(shown(tools), len(task.question))
            turns = task.turns
            if how == "one by one":
                turns = [[call] for calls in task.turns for call in calls]
            elif how == "program":
                names = {"names": task.stubs}
                turns = [
                    [("host__tool_stubs", names)],
                    [("host__run_code", {"code": task.program})],
                ]
            return await spend(cost, client, turns)


async def compare() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, task in tasks().items():
        print(f"\n{name}")
        head = f"{'requests':>9}{'tokens read':>13}{'written':>9}{'of one by one':>15}"
        print(f"  {'':<12}{head}{'tools ms':>10}")
        whole = 0.0
        for how in ("one by one", "parallel", "program"):
            cost = await measure(task, how)
            read, written = cost.read // CHARACTERS, cost.written // CHARACTERS
            whole = whole or read + written
            share = (read + written) / whole
            numbers = f"{cost.requests:>9}{read:>13,}{written:>9,}{share:>14.0%}"
            print(f"  {how:<12}{numbers} {cost.seconds * 1000:>10.0f}")
            row = {"requests": cost.requests, "read": read, "written": written, "share": share}
            found.setdefault(name, {})[how] = row
    return found


def run(arguments: list[str]) -> dict[str, Any]:
    """Print and return the comparison."""
    del arguments
    return anyio.run(compare)
