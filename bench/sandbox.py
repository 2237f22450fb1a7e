"""The plugin sandbox beside its peers, which are installed into an environment of their own."""

import contextlib
import io
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio

from bench import sandbox_compiler, sandbox_process
from host.sandbox.pool import LOADER

PEERS = ("pydantic-monty", "smolagents", "fastmcp[code-mode]")
"""Measured beside, never dependencies."""

FOLDER = Path(__file__).resolve().parents[1] / ".cache" / "bench" / "peers"


class _Both(io.StringIO):
    """Keeps what is printed, and prints it."""

    def write(self, text: str) -> int:
        sys.__stdout__.write(text)
        return super().write(text)


def peers() -> str | None:
    """Return the interpreter of an environment that has the peers; None if it cannot be made."""
    python = FOLDER / "bin" / "python"
    if not (FOLDER / "ready").exists():
        steps = (
            [sys.executable, "-m", "venv", "--clear", str(FOLDER)],
            [str(python), "-m", "pip", "install", "--quiet", *PEERS],
        )
        for step in steps:
            outcome = subprocess.run(step, capture_output=True, text=True, check=False)
            if outcome.returncode != 0:
                print(f"the peers cannot be installed: {outcome.stderr[-300:]}")
                return None
        (FOLDER / "ready").touch()
    return str(python)


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure loops of the compiler, starts and calls of the process, and the peers."""
    del arguments
    printed = _Both()
    with contextlib.redirect_stdout(printed):
        print(f"Python {sys.version.split()[0]}, {time.strftime('%Y-%m-%d')}")
        sandbox_compiler.main()
        anyio.run(sandbox_process.measure, LOADER, backend_options=sandbox_process.LOOP)
        python = peers()
        if python is not None:
            sandbox_process.measure_peers(python)
    return {"lines": printed.getvalue().splitlines()}
