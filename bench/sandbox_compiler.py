"""Loops in the plugin compiler beside plain CPython and stock RestrictedPython, in one run."""

import builtins
import operator
import time
import warnings
from collections.abc import Callable
from typing import Any

from RestrictedPython import compile_restricted
from RestrictedPython.Guards import full_write_guard, guarded_unpack_sequence, safer_getattr

from host.sandbox.compiler import compile_plugin

OBJECTS = """
class P:
    def __init__(self, x):
        self.x = x
        self.count = 0
    def step(self, n):
        for i in range(n):
            self.x = self.x + i
            self.count = self.count + 1
        return self.x
def run():
    return sum([P(i).step(100) for i in range(800)])
"""
LOOPS = {
    "arithmetic": "def run():\n    t = 0\n    for i in range(200000):\n        t = t + i * 2 % 7\n",
    "lists and dicts": "def run():\n    d = {}\n    x = [1] * 100\n    for i in range(100000):\n"
    "        d[i % 50] = x[i % 100]\n        x[i % 100] = i\n",
    "method calls": "def run():\n    x = []\n    for i in range(100000):\n        x.append(i)\n"
    "        if len(x) > 50:\n            x.pop()\n",
    "text": "def run():\n    return len(','.join([str(i).strip().upper() for i in range(60000)]))\n",  # noqa: E501  # one name list or message
    "comprehensions": "def run():\n    sum([a * b for a in range(300) for b in range(300) if a != b])\n",  # noqa: E501  # one name list or message
    "objects": OBJECTS,
    "private attributes": OBJECTS.replace(".x", "._x").replace(".count", "._count"),
}


def stock(source: str) -> Callable[[], object]:
    names: dict[str, Any] = {
        "__builtins__": vars(builtins),
        "__name__": "stock",
        "__metaclass__": type,
        "_getattr_": safer_getattr,
        "_getitem_": operator.getitem,
        "_getiter_": iter,
        "_unpack_sequence_": guarded_unpack_sequence,
        "_write_": lambda item: item if type(item).__name__ == "P" else full_write_guard(item),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile_restricted(source, "stock", "exec"), names)  # noqa: S102  # the peer
    return names["run"]


def plain(source: str) -> Callable[[], object]:
    names: dict[str, Any] = {}
    exec(compile(source, "plain", "exec", dont_inherit=True), names)  # noqa: S102  # the peer
    return names["run"]


def best_seconds(runs: list[Callable[[], object]], rounds: int = 9) -> list[float]:
    best = [float("inf")] * len(runs)
    for _ in range(rounds):
        for index, run in enumerate(runs):
            start = time.perf_counter()
            run()
            best[index] = min(best[index], time.perf_counter() - start)
    return best


def main() -> None:
    print(f"{'loop':18} {'plain ms':>9} {'here x':>8} {'stock x':>8}")
    mean = 1.0
    for name, source in LOOPS.items():
        runs = [plain(source), compile_plugin(source, name="bench").load()["run"]]
        if "private" not in name:
            runs.append(stock(source))
        times = best_seconds(runs)
        mean *= (times[1] / times[0]) ** (1 / len(LOOPS))
        peer = f"{times[2] / times[0]:8.2f}" if len(times) > 2 else "rejected"
        print(f"{name:18} {times[0] * 1000:9.2f} {times[1] / times[0]:8.2f} {peer:>8}")
    print(f"geometric mean here: {mean:.2f} x plain CPython")
    compiled = compile_plugin(OBJECTS, name="bench")
    times = best_seconds([lambda: compile_plugin(OBJECTS, name="bench"), compiled.load], rounds=50)
    print(f"compile {times[0] * 1000:.2f} ms, load {times[1] * 1000:.3f} ms (12 lines)")


if __name__ == "__main__":
    main()
