"""Plugin start, round trip, calls a second and memory of the sandbox, beside its peers.

Run with `python -m bench.sandbox_process [--peers PYTHON]`; PYTHON is an interpreter of another
virtual environment with `pydantic-monty`, `smolagents` and `fastmcp[code-mode]` installed. Memory
per worker (PSS) needs root, because workers cannot be inspected by their own user.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import anyio

from host.sandbox.config import SandboxConfig
from host.sandbox.pool import SandboxPool

PLUGIN = "@tool\ndef add(a: int, b: int = 2) -> int:\n    'Adds.'\n    return a + b\n"
CALLS = 10_000
LOOP = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}
"""The event loop that the daemon runs on."""
PLAIN = "tests.fakes.plain_loader:compile_plugin"


class NoBroker:
    state = None

    async def call_tool(self, name, arguments):
        return arguments

    async def secret(self, name):
        return name

    async def note(self, note):
        return None


def quantiles(seconds):
    ordered = sorted(seconds)
    return ordered[len(ordered) // 2] * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3


def verdict(value, budget):
    """Return a budget and whether it holds, as printed."""
    return f"budget {budget:g}: {'holds' if value <= budget else 'missed'}"


def show(label, seconds, *, p50=None, p99=None, note=""):
    """Print the quantiles of some durations, beside their budgets in milliseconds."""
    middle, slow = quantiles(seconds)
    said = [verdict(value, limit) for value, limit in ((middle, p50), (slow, p99)) if limit]
    note = ", ".join(["/".join(said), note] if said and note else said or [note])
    print(f"{label:46} p50 {middle:8.3f} ms   p99 {slow:8.3f} ms   {note}")


async def started(pool, tenant="t", source=PLUGIN):
    before = time.perf_counter()
    worker = await pool.start(source, plugin="p", tenant=tenant, broker=NoBroker())
    return time.perf_counter() - before, worker


def pss(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


async def starts(loader, pool_size, rounds, *, new=False):
    """Time starts of one source, which is compiled but once, or each of a source never seen."""
    seconds = []
    settings = SandboxConfig(pool_size=pool_size)
    async with SandboxPool(settings, loader=loader) as pool:
        await pool.warm()
        for number in range(rounds):
            source = f"{PLUGIN}# {number}\n" if new else PLUGIN
            took, worker = await started(pool, source=source)
            seconds.append(took)
            worker.stop()
            await anyio.sleep(0.03)  # lets the stock fill up, as between two real starts
    return seconds[1:]


async def round_trips(loader):
    async with SandboxPool(SandboxConfig(), loader=loader) as pool:
        _, worker = await started(pool)
        for _ in range(500):
            await worker.call("add", {"a": 1}, timeout=5)
        seconds = []
        clocks = time.process_time(), cpu_of(worker.pid)
        for _ in range(CALLS):
            before = time.perf_counter()
            await worker.call("add", {"a": 1}, timeout=5)
            seconds.append(time.perf_counter() - before)
        used = time.process_time() - clocks[0], cpu_of(worker.pid) - clocks[1]
    return seconds, [one / CALLS * 1e6 for one in used]


def cpu_of(pid):
    """Return the processor seconds of another process."""
    return time.clock_gettime((~pid << 3) | 2)


async def many(loader, count):
    async with SandboxPool(SandboxConfig(), loader=loader) as pool:
        before = time.perf_counter()
        workers = [(await started(pool, f"t{n}"))[1] for n in range(count)]
        starting = time.perf_counter() - before
        before = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for worker in workers:
                tasks.start_soon(lambda w=worker: w.call("add", {"a": 1}, timeout=30))
        calling = time.perf_counter() - before
        try:
            memory = [pss(worker.pid) for worker in workers]
        except PermissionError:
            memory = []
    return starting, calling, memory


async def measure(loader):
    print(f"loader {loader}")
    show("plugin ready from the pool", await starts(loader, 3, 60), p50=1)
    show("plugin ready from fork", await starts(loader, 0, 60), p50=5)
    first = await starts(loader, 3, 30, new=True)
    show("a source never seen, compiled, from the pool", first, note="no budget of its own")
    seconds, (host, worker) = await round_trips(loader)
    show("warm call round trip", seconds, p50=0.1, p99=0.2)
    rate = len(seconds) / sum(seconds)
    kept = "holds" if rate >= 10_000 else "missed"
    print(f"{'calls a second, one worker':46} {rate:12,.0f}   budget 10,000: {kept}")
    print(f"{'processor time a call, host and worker':46} {host:8.1f} and {worker:.1f} µs")
    starting, calling, memory = await many(loader, 200)
    print(f"{'200 plugins: started, one by one':46} {starting:10.2f} s")
    print(f"{'200 plugins: one call to each, all at once':46} {calling * 1e3:9.1f} ms")
    if memory:
        print(
            f"{'memory a worker (PSS), 200 running':46} {statistics.mean(memory) / 1024:9.2f} MiB"
        )


PEERS = """
import asyncio, json, time
def timed(action, rounds):
    seconds = []
    for _ in range(rounds):
        before = time.perf_counter(); action(); seconds.append(time.perf_counter() - before)
    return seconds
def monty():
    from pydantic_monty import Monty
    with Monty(min_processes=2) as pool:
        def start():
            with pool.checkout() as session:
                session.feed_run("def add(a, b=2):\\n    return a + b")
        yield "Monty: a function ready from its pool", timed(start, 100)
        with pool.checkout() as session:
            session.feed_run("def add(a, b=2):\\n    return a + b")
            session.feed_run("add(1)")
            yield "Monty: warm call", timed(lambda: session.feed_run("add(1)"), 5000)
def smolagents():
    from smolagents.local_python_executor import LocalPythonExecutor
    def start():
        executor = LocalPythonExecutor([]); executor.send_tools({})
        executor("def add(a, b=2):\\n    return a + b")
        return executor
    yield "smolagents: a function ready (no process)", timed(start, 100)
    executor = start()
    yield "smolagents: warm call (no process)", timed(lambda: executor("add(1)"), 2000)
def code_mode():
    from fastmcp import Client, FastMCP
    from fastmcp.experimental.transforms.code_mode import CodeMode, MontySandboxProvider
    server = FastMCP("peer", transforms=[CodeMode()])
    @server.tool
    def add(a: int, b: int = 2) -> int:
        return a + b
    async def calls():
        seconds = []
        async with Client(server) as client:
            for _ in range(100):
                before = time.perf_counter()
                await client.call_tool("execute", {"code": "return 1 + 2"})
                seconds.append(time.perf_counter() - before)
        return seconds
    yield "FastMCP code mode: one program", asyncio.run(calls())
LOOPS = {
    "arithmetic": ("t = 0\\nfor i in range(N):\\n    t = t + i * 2 % 7\\nt", 20000),
    "lists": ("x = [1] * 100\\nfor i in range(N):\\n    x[i % 100] = x[i % 50] + 1\\nx[0]", 20000),
    "text": ("len(','.join([str(i).strip().upper() for i in range(N)]))", 10000),
}
def best(action, rounds=5):
    return min(timed(action, rounds))
def loops():
    from pydantic_monty import Monty
    from smolagents.local_python_executor import LocalPythonExecutor
    executor = LocalPythonExecutor([]); executor.send_tools({})
    for name, (source, count) in LOOPS.items():
        text = source.replace("N", str(count))
        lines, _, last = text.rpartition("\\n")
        code = compile(f"def run():\\n    " + text.replace("\\n", "\\n    "), "plain", "exec")
        names = {}; exec(code, names)
        plain = best(names["run"])
        with Monty(min_processes=1) as pool, pool.checkout() as session:
            monty = best(lambda: session.feed_run(text))
        small = source.replace("N", str(count // 20))
        smol = best(lambda: executor(small), 3) * 20
        ratios = {"Monty": monty / plain, "smolagents": smol / plain}
        print(json.dumps([f"loop: {name}", ratios]), flush=True)
    return ()
for peer in (monty, smolagents, code_mode, loops):
    try:
        for label, seconds in peer():
            print(json.dumps([label, seconds]), flush=True)
    except Exception as error:
        print(json.dumps([f"{peer.__name__}: {type(error).__name__}: {str(error)[:200]}", []]))
"""


def measure_peers(python):
    outcome = subprocess.run(
        [python, "-c", PEERS], capture_output=True, text=True, check=False, timeout=300
    )
    for line in outcome.stdout.splitlines():
        if not line.startswith("["):
            continue
        label, seconds = json.loads(line)
        if isinstance(seconds, dict):
            ratios = ", ".join(f"{name} {ratio:,.1f} x" for name, ratio in seconds.items())
            print(f"{label:46} {ratios} plain CPython")
        elif seconds:
            show(label, seconds, note=f"{len(seconds) / sum(seconds):,.0f}/s")
        else:
            print(f"not measured: {label}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="interpreter with the peers installed")
    parser.add_argument("--loader", default=PLAIN, help="module:function that compiles plugins")
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}")
    anyio.run(measure, options.loader, backend_options=LOOP)
    if options.peers:
        measure_peers(options.peers)


if __name__ == "__main__":
    main()
