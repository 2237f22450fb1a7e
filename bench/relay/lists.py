"""`tools/list` over twenty servers: all well, one that refuses, one that never answers."""

import asyncio
import contextlib
import socket
import statistics
import time
from collections.abc import Generator
from dataclasses import dataclass

from bench.relay.report import Budget
from bench.relay.wire import Call, HttpWire, request
from tests.conformance.host_process import free_port, running_host

SERVERS = 20
REPEATS = 30


@dataclass(frozen=True)
class Lists:
    """How long lists took.

    Attributes:
        kind: What is wrong with the twentieth server.
        first: Seconds of the first list, when no server was connected yet.
        later: Median seconds of later ones.
        tools: How many tools were listed.
    """

    kind: str
    first: float
    later: float
    tools: int

    def line(self) -> str:
        """Return the line that is printed."""
        return (
            f"tools/list, {SERVERS} servers, {self.kind:<22} first {1000 * self.first:>7.0f} ms, "
            f"later {1000 * self.later:>6.1f} ms, {self.tools} tools"
        )


@contextlib.contextmanager
def _twentieth(kind: str, url: str) -> Generator[str]:
    if kind == "all well":
        yield url
    elif kind == "one refuses":
        yield f"http://127.0.0.1:{free_port()}/mcp"
    else:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            yield f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"


async def _time(url: str, kind: str) -> Lists:
    wire = await HttpWire(url, Call("echo", stateless=False)).open()
    times: list[float] = []
    answer = b""
    for number in range(REPEATS + 1):
        start = time.perf_counter()
        answer = await wire._post(0, request(10 + number, "tools/list", {}))
        times.append(time.perf_counter() - start)
    await wire.close()
    return Lists(kind, times[0], statistics.median(times[1:]), answer.count(b'__echo"'))


def measure_lists(url: str) -> list[Lists]:
    """Return the times of a list for each kind of twentieth server, each in a host of its own."""
    found: list[Lists] = []
    for kind in ("all well", "one refuses", "one never answers"):
        with _twentieth(kind, url) as last:
            urls = [url] * (SERVERS - 1) + [last]
            entries = {f"s{number}": {"url": each} for number, each in enumerate(urls)}
            with running_host({"servers": entries}) as host:
                found.append(asyncio.run(_time(host.url, kind)))
    return found


def list_budgets(lists: list[Lists]) -> list[Budget]:
    """Return the budgets of lists: one dead server does not delay the others."""
    well, *others = lists
    return [
        Budget(f"later tools/list, {each.kind} ÷ all well", each.later / well.later, 1.2)
        for each in others
    ]
