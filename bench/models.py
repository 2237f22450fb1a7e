"""Rate buckets under four processes, and what the host adds to a model request: `bench models`.

A minute is simulated in six seconds. The peer of the shared buckets is what a program without
them does: the same limit, counted in each process by itself. The peer of a request through the
host is the same request by pydantic-ai alone, both to a server on loopback.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx2
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import Model, ModelRequestParameters

from host.models.config import ModelsConfig, ProviderConfig
from host.models.models import Models
from host.models.name import ModelName
from host.models.provider import build_model
from host.models.route import RoutedModel
from host.secrets.keys import Keys
from host.storage.connector import EmbeddedConnector
from tests.fakes.arrivals import Arrivals, noting_arrivals
from tests.fakes.model_provider import model_provider

ROOT = Path(__file__).parents[1]
WINDOW = 6.0
LIMIT = 60
EACH = 45
PROCESSES = 4
TURNS = 100


def run(arguments: list[str]) -> dict[str, Any]:
    """Run both; `--quick` makes fewer turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    turns = 20 if parser.parse_args(arguments).quick else TURNS
    found = {"buckets": buckets(), "requests": anyio.run(requests, turns)}
    print(json.dumps(found, indent=2))
    return found


def buckets() -> dict[str, Any]:
    """Let four processes ask as fast as they can, with and without a common bucket."""
    folder = Path(tempfile.mkdtemp(prefix="mah-bench-", dir="/tmp"))
    folder.chmod(0o711)
    connector = EmbeddedConnector(folder, linger=0.0)
    connector.prepare(lambda _text: None, threading.Event())
    try:
        with noting_arrivals() as provider:
            shared = _ask(folder, ["shared"] * PROCESSES, provider)
            alone = _ask(folder, [f"own-{number}" for number in range(PROCESSES)], provider)
    finally:
        connector.release()
    return {
        "limit a simulated minute": LIMIT,
        "processes": PROCESSES,
        "shared buckets": shared,
        "a bucket in each process": alone,
    }


def _ask(folder: Path, names: list[str], provider: Arrivals) -> dict[str, Any]:
    """Return how many requests reached the provider, and how many when its minute was full."""
    program = ROOT / "tests/models/programs/admit.py"
    tail = [str(WINDOW), str(LIMIT), "0", str(EACH), str(provider.port)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        # Each one's first request is on its way for longer, as where connecting takes time.
        subprocess.Popen(
            [sys.executable, program, str(folder), name, *tail, str(number * 0.1)], env=environ
        )
        for number, name in enumerate(names)
    ]
    if any(process.wait() for process in started):
        raise RuntimeError("a process that asks failed")
    provider.times["all"] = [time for name in set(names) for time in provider.times.pop(name)]
    over = provider.over("all", limit=LIMIT, window=WINDOW)
    return {"requests": len(provider.times["all"]), "over the limit": over}


async def requests(turns: int) -> dict[str, Any]:
    """Compare a request through the host with pydantic-ai alone, taking turns."""
    with model_provider() as vendor, tempfile.TemporaryDirectory() as place:
        provider = ProviderConfig(base_url=f"{vendor.url}/v1")
        models = Models(
            ModelsConfig(providers={"work": provider}),
            keys=Keys(Path(place), {"WORK_API_KEY": "k"}),
        )
        through = models.resolve("work:own")
        async with httpx2.AsyncClient() as client:
            name = ModelName("work", "own")
            bare = build_model(models.provider("work"), name.name, key="k", client=client)
            found = {
                "CPU of a request, ms": await _compare(through, bare, turns, _whole, cpu=True),
                "first token, ms": await _compare(through, bare, turns, _first, cpu=False),
            }
        await models.aclose()
    return found


Ask = Callable[[Model[Any], Callable[[], float]], Awaitable[float]]
"""Asks a model, and returns what a clock says when it has what it wants."""


async def _compare(
    through: Model[Any], bare: Model[Any], turns: int, ask: Ask, *, cpu: bool
) -> dict[str, float]:
    clock = time.thread_time if cpu else time.perf_counter
    spent: dict[str, list[float]] = {"host": [], "pydantic-ai": []}
    for _ in range(turns):
        for name, model in (("host", through), ("pydantic-ai", bare)):
            begun = clock()
            spent[name].append((await ask(model, clock) - begun) * 1000)
    medians = {name: sorted(each)[len(each) // 2] for name, each in spent.items()}
    found = {name: round(value, 3) for name, value in medians.items()}
    return {**found, "ratio": round(medians["host"] / medians["pydantic-ai"], 3)}


async def _whole(model: Model[Any], clock: Callable[[], float]) -> float:
    await model.request([ModelRequest([UserPromptPart("Hi")])], None, ModelRequestParameters())
    return clock()


async def _first(model: Model[Any], clock: Callable[[], float]) -> float:
    talk = [ModelRequest([UserPromptPart("Hi")])]
    heard: list[float] = []
    if isinstance(model, RoutedModel):
        await model.ask([*talk], ModelRequestParameters(), heard=lambda _: heard.append(clock()))
        return heard[0]
    async with model.request_stream([*talk], None, ModelRequestParameters()) as stream:
        heard = [clock() async for _ in stream]
    return heard[0]
