"""The files server beside `rg` and the npm reference server, one run: `python -m bench files`."""

import argparse
import contextlib
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio

from bench.raw_stdio import RawClient
from bench.relay.processes import usage
from tests.fakes.reference_server import find_reference

PROJECT = Path(__file__).parents[1]
CALLS = 500
"""How often each small call is made: the kernel counts CPU in hundredths of a second."""
WORDS = [f"word{n}" for n in range(500)]


def make_tree(top: Path, files: int) -> None:
    """Write a tree of source-like files, one in a thousand with a needle."""
    chance = random.Random(1)  # noqa: S311 - a repeatable tree
    for number in range(files):
        if number % 100 == 0:
            folder = top / f"pkg{number // 1000:03}" / f"mod{number // 100 % 10}"
            folder.mkdir(parents=True)
        lines = [
            " ".join(chance.choices(WORDS, k=chance.randint(3, 12)))
            for _ in range(chance.randint(5, 60))
        ]
        if number % 1000 == 500:
            lines.insert(len(lines) // 2, "here is the needle_in_haystack = 42")
        (folder / f"file{number % 100:02}.{chance.choice(['py', 'md', 'txt'])}").write_text(
            "\n".join(lines) + "\n"
        )
    (top / ".gitignore").write_text("*.log\nnode_modules/\n__pycache__/\n/build\n")


async def best(action: Callable[[], Awaitable[object]], rounds: int) -> float:
    """The shortest of several runs, in seconds."""
    times: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        await action()
        times.append(time.perf_counter() - start)
    return min(times)


async def quantiles(action: Callable[[], Awaitable[object]], rounds: int) -> tuple[float, float]:
    """Median and 95th percentile of several runs, in milliseconds."""
    times: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        await action()
        times.append((time.perf_counter() - start) * 1000)
    cuts = statistics.quantiles(times, n=20)
    return statistics.median(times), cuts[18]


def memory_of_children() -> dict[str, float]:
    """Resident MB of our child processes, by what they run."""
    found: dict[str, float] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError, StopIteration):
            text = status.read_text()
            command = status.with_name("cmdline").read_text().replace("\0", " ")
            if f"PPid:\t{os.getpid()}\n" in text:
                kb = next(x for x in text.splitlines() if x.startswith("VmRSS")).split()[1]
                name = "reference" if "server-filesystem" in command else "ours"
                found[name] = found.get(name, 0) + int(kb) / 1024
    return found


def ours(top: Path) -> RawClient:
    """Our server over stdio, its limits lifted so that whole answers are measured."""
    settings = '{"max_entries": 1000000, "max_read_bytes": 100000000}'
    words = ["-m", "servers.files", str(top), "--settings", settings]
    environment = {"PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"]}
    return RawClient([sys.executable, *words], environment)


def reference(top: Path) -> RawClient | None:
    """The npm reference server over stdio, or None with the reason printed."""
    entry = find_reference("filesystem")
    if isinstance(entry, str):
        print(f"reference server left out: {entry}")
        return None
    return RawClient(["node", str(entry), str(top)])


async def compare_with_rg(client: RawClient, top: Path, rounds: int) -> dict[str, float]:
    """Print search times beside `rg`, in the same run."""
    rg, ratios = shutil.which("rg"), dict[str, float]()
    print("\ncontent search, best of", rounds, "" if rg else "(rg is not installed)")
    for label, args, words in (
        ("literal", {"pattern": "needle_in_haystack"}, ["-F", "needle_in_haystack"]),
        ("regex", {"pattern": r"needle_\w+ = \d+", "regex": True}, [r"needle_\w+ = \d+"]),
        ("no case", {"pattern": "NEEDLE_IN_hay", "ignore_case": True}, ["-iF", "NEEDLE_IN_hay"]),
        ("classes", {"pattern": r"[a-z]{6}_\w\w_", "regex": True}, [r"[a-z]{6}_\w\w_"]),
    ):

        async def search(args: dict[str, Any] = args) -> None:
            answer = await client.call_tool("search", {**args, "limit": 1000})
            assert len(answer["structuredContent"]["matches"]) > 0

        async def run_rg(words: list[str] = words) -> None:
            await anyio.run_process([rg or "rg", "--hidden", "-n", *words, str(top)])

        mine = await best(search, rounds)
        theirs = await best(run_rg, rounds) if rg else float("nan")
        ratios[label] = mine / theirs
        print(f"  {label:10} ours {mine:6.3f} s   rg {theirs:6.3f} s   ratio {mine / theirs:5.2f}")
    return ratios


async def whole_tree(client: RawClient, other: RawClient | None, rounds: int) -> dict[str, float]:
    """Print the times of walking the whole tree."""
    ratios: dict[str, float] = {}
    print("\nwhole tree over stdio, best of", rounds)
    rows: list[tuple[str, tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]] = [
        ("tree", ("tree", {}), ("directory_tree", {"path": "."})),
        (
            "find *.md",
            ("find", {"pattern": "*.md", "limit": 1000000}),
            ("search_files", {"path": ".", "pattern": "**/*.md"}),
        ),
        (
            "list one",
            ("list", {"path": "pkg000/mod0"}),
            ("list_directory_with_sizes", {"path": "pkg000/mod0"}),
        ),
    ]
    for label, (tool, args), (their_tool, their_args) in rows:
        mine = await best(lambda t=tool, a=args: client.call_tool(t, a), rounds)
        line = f"  {label:10} ours {mine:7.3f} s"
        if other is not None:
            theirs = await best(lambda t=their_tool, a=their_args: other.call_tool(t, a), rounds)
            line += f"   reference {theirs:7.3f} s   ratio {mine / theirs:5.2f}"
            ratios[label] = mine / theirs
        print(line)
    return ratios


async def cost(
    client: RawClient, tool: str, arguments: dict[str, Any], rounds: int
) -> tuple[float, float, float]:
    """Median and 95th percentile of a call, and the CPU of the server, all in milliseconds."""
    before = usage(client.process.pid).cpu["process"]
    p50, p95 = await quantiles(lambda: client.call_tool(tool, arguments), rounds)
    return p50, p95, (usage(client.process.pid).cpu["process"] - before) / rounds * 1000


async def single_calls(client: RawClient, other: RawClient | None, rounds: int) -> dict[str, float]:
    """Print the latency of small calls, and the server's CPU, which a busy machine changes less."""
    ratios: dict[str, float] = {}
    print("\nsmall calls over stdio, p50 / p95 of", rounds, "in ms, and CPU a call")
    path = "pkg000/mod0/new.txt"
    new = {"path": path, "content": "text\n"}
    edit = {"path": path, "edits": [{"old": "text", "new": "t"}], "dry_run": True}
    their_edit = {"path": path, "edits": [{"oldText": "text", "newText": "t"}], "dryRun": True}
    rows: list[tuple[str, tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]] = [
        ("write", ("write", new), ("write_file", new)),
        ("read", ("read_text", {"path": path}), ("read_text_file", {"path": path})),
        ("dry edit", ("edit", edit), ("edit_file", their_edit)),
        ("info", ("info", {"path": path}), ("get_file_info", {"path": path})),
    ]
    for label, (tool, args), (their_tool, their_args) in rows:
        p50, p95, cpu = await cost(client, tool, args, rounds)
        line = f"  {label:10} ours {p50:6.2f} / {p95:6.2f}, {cpu:5.2f}"
        if other is not None:
            q50, q95, theirs = await cost(other, their_tool, their_args, rounds)
            line += f"   reference {q50:6.2f} / {q95:6.2f}, {theirs:5.2f}"
            line += f"   ratio {p50 / q50:5.2f}, CPU {cpu / theirs:5.2f}"
            ratios |= {label: p50 / q50, f"{label}, CPU": cpu / theirs}
        print(line)
    return ratios


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Run everything once and print it."""
    parser = argparse.ArgumentParser("python -m bench files", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    return anyio.run(measure, parser.parse_args(arguments))


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Make the tree and measure."""
    with tempfile.TemporaryDirectory(prefix="bench-files-") as folder:
        top = Path(folder)
        make_tree(top, options.files)
        size = await anyio.run_process(["du", "-sm", folder])
        print(
            f"{options.files} files, {size.stdout.split()[0].decode()} MB, {os.cpu_count()} cores"
        )
        client, other = ours(top), reference(top)
        try:
            found: dict[str, Any] = {"calls": await single_calls(client, other, CALLS)}
            print("\nresident MB:", {k: round(v) for k, v in memory_of_children().items()})
            found["search"] = await compare_with_rg(client, top, options.rounds)
            found["tree"] = await whole_tree(client, other, options.rounds)
            found["resident_mb"] = memory_of_children()
            print("\nresident MB after:", {k: round(v) for k, v in found["resident_mb"].items()})
        finally:
            for one in (client, other):
                if one is not None:
                    one.close()
        return found
