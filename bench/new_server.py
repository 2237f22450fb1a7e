"""From a command to a server that answers a client, beside a first FastMCP server made by hand.

By hand is the smallest server that FastMCP's quickstart leads to: an import, a name, a function and
a start. Its file is there at once, as if typed before the clock starts; what typing takes is shown
apart, in characters. Each way ends when a client has listed the tools and called one over stdio.
Nothing is installed in either: both find FastMCP in the environment of this benchmark.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "tests" / "generator" / "documents" / "pets.yaml"
BY_HAND = '''from fastmcp import FastMCP

server = FastMCP("Notes")
notes: list[str] = []


@server.tool
def list_notes() -> list[str]:
    """List the notes."""
    return notes


if __name__ == "__main__":
    server.run()
'''
TYPED_A_SECOND = 5
"""Characters that a quick typist writes in a second; for the last column only."""


@dataclass(frozen=True)
class Way:
    """One way to a server: what a person types, what is run, and which tool answers."""

    name: str
    typed: str
    make: Callable[[Path], tuple[list[str], dict[str, str]]]
    """Makes it in a folder and returns the command that starts it, and its environment."""
    tool: str = "list_notes"


def by_hand(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Write the file."""
    file = folder / "server.py"
    file.write_text(BY_HAND)
    return [sys.executable, str(file)], {}


def generated(*words: str) -> Callable[[Path], tuple[list[str], dict[str, str]]]:
    """Return a way that runs `host new-server` with some words."""

    def make(folder: Path) -> tuple[list[str], dict[str, str]]:
        command = [sys.executable, "-P", "-m", "host", "new-server", "notes", *words, "--yes"]
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder)}
        subprocess.run(command, cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
        source = str(folder / "notes" / "src")
        return [sys.executable, "-m", "notes"], {"PYTHONPATH": source}

    return make


WAYS = (
    Way("FastMCP by hand, one tool", f"{BY_HAND}python server.py\n", by_hand),
    Way("host new-server, blank", "host new-server notes --yes\n", generated()),
    Way(
        "host new-server, OpenAPI of 6 operations",
        "host new-server notes --from openapi pets.yaml --yes\n",
        generated("--from", "openapi", str(DOCUMENT)),
        tool="",
    ),
)


async def _answer(command: list[str], environ: dict[str, str], tool: str) -> int:
    transport = StdioTransport(
        command[0],
        command[1:],
        env={"PATH": os.environ["PATH"], **environ},
        keep_alive=False,
        log_file=Path(os.devnull),
    )
    async with Client(transport) as client:
        tools = await client.list_tools()
        if tool:
            await client.call_tool(tool, {})
        return len(tools)


def measure(way: Way) -> dict[str, float]:
    """Return the seconds of each part, and the CPU seconds of all processes."""
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command, environ = way.make(Path(folder))
        made = time.perf_counter()
        tools = anyio.run(_answer, command, environ, way.tool)
        ended = time.perf_counter()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"make": made - began, "answer": ended - made, "cpu": cpu, "tools": tools}


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure each way some times, in turns; `--runs N` says how often."""
    runs = int(arguments[arguments.index("--runs") + 1]) if "--runs" in arguments else 5
    found: dict[str, list[dict[str, float]]] = {way.name: [] for way in WAYS}
    for _ in range(runs):
        for way in WAYS:
            found[way.name].append(measure(way))
    rows = {
        name: {key: statistics.median(one[key] for one in some) for key in some[0]}
        for name, some in found.items()
    }
    heads = {"make": 7, "answer": 8, "both": 7, "CPU": 7, "tools": 7, "typed": 7, "in all": 8}
    print(" " * 42 + "".join(f"{head:>{width}}" for head, width in heads.items()))
    for way in WAYS:
        row = rows[way.name]
        both = row["make"] + row["answer"]
        row |= {"both": both, "typed": len(way.typed)}
        row["in all"] = both + len(way.typed) / TYPED_A_SECOND
        print(
            f"{way.name:<42}{row['make']:>6.2f}s{row['answer']:>7.2f}s{both:>6.2f}s"
            f"{row['cpu']:>6.2f}s{row['tools']:>7.0f}{row['typed']:>7}{row['in all']:>7.1f}s"
        )
    print(f"Medians of {runs}. `in all` adds the typing, at {TYPED_A_SECOND} characters a second.")
    return rows
