"""The memory server beside the npm reference memory server: the same calls, one run."""

import os
import secrets
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from bench.memory.made import Writer
from bench.raw_stdio import RawClient
from bench.relay.processes import usage
from tests.fakes.reference_server import find_reference

PROJECT = Path(__file__).resolve().parents[2]
SIZES = (100, 2000)
"""Entities in the graph when calls are measured."""
ROUNDS = 40
PART = 100
"""Entities that are handed over in one call."""


async def beside_reference(folder: Path) -> dict[str, Any]:
    """Print latency, CPU and memory of both servers at growing sizes.

    Args:
        folder: The data folder of our server; the reference's file is put there, too.
    """
    entry = find_reference("memory")
    if isinstance(entry, str):
        print(f"  reference server left out: {entry}")
        return {}
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "HOST_DATA_DIR": str(folder),
        "HOST_SERVER_USER": f"user-{secrets.token_hex(4)}",
        "HOST_SERVER_CONFINE": "1",
    }
    ours = RawClient([sys.executable, "-m", "servers.memory"], environment)
    file = {"PATH": os.environ["PATH"], "MEMORY_FILE_PATH": str(folder / "reference.jsonl")}
    theirs = RawClient(["node", str(entry)], file)
    found: dict[str, Any] = {}
    try:
        there = 0
        for size in SIZES:
            for client in (ours, theirs):
                await grow(client, there, size)
            there = size
            print(f"  {size:,} entities, p50 of {ROUNDS} calls over stdio")
            found[str(size)] = {
                name: await compare(name, ours, theirs, size) for name in calls(0, size)
            }
        for name, client in (("ours", ours), ("reference", theirs)):
            held = usage(client.process.pid, memory=True)
            found[f"{name}_mb"] = held.pss["process"] / 1024
            print(f"  {name:9} {found[f'{name}_mb']:6.0f} MB", end="")
        print(" (ours without PostgreSQL, which the host's store has anyway)")
    finally:
        for client in (ours, theirs):
            client.close()
    return found


async def grow(client: RawClient, there: int, size: int) -> None:
    """Fill a graph up to a size, with a relation for each entity."""
    writer = Writer(seed=3)
    for first in range(there, size, PART):
        numbers = range(first, min(first + PART, size))
        entities = [
            {"name": f"Entity {n}", "entityType": "thing", "observations": [writer.record()]}
            for n in numbers
        ]
        relations = [
            {"from": f"Entity {n}", "to": f"Entity {n // 2}", "relationType": "knows"}
            for n in numbers
        ]
        await client.call_tool("create_entities", {"entities": entities})
        await client.call_tool("create_relations", {"relations": relations})


def calls(turn: int, size: int) -> dict[str, dict[str, Any]]:
    """Return the arguments of each tool's call, other ones in each turn."""
    name = f"Entity {turn * 37 % size}"
    new = {"name": f"New {size} {turn}", "entityType": "thing", "observations": ["one"]}
    more = {"entityName": name, "contents": [f"observed in turn {turn} of {size}"]}
    return {
        "search_nodes": {"query": name},
        "open_nodes": {"names": [name]},
        "read_graph": {},
        "create_entities": {"entities": [new]},
        "add_observations": {"observations": [more]},
    }


async def compare(tool: str, ours: RawClient, theirs: RawClient, size: int) -> dict[str, float]:
    """Print one tool's median in milliseconds, ours beside the reference's."""
    medians: list[float] = []
    for client in (ours, theirs):
        times: list[float] = []
        for turn in range(ROUNDS):
            start = time.perf_counter()
            await client.call_tool(tool, calls(turn, size)[tool])
            times.append((time.perf_counter() - start) * 1000)
        medians.append(statistics.median(times))
    mine, other = medians
    print(f"    {tool:17} ours {mine:7.2f}   reference {other:7.2f}   ratio {mine / other:5.2f}")
    return {"ours_ms": mine, "reference_ms": other, "ratio": mine / other}
