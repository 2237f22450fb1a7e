"""Where an attempt to escape is made: inside a confined worker, or outside as a control."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from textwrap import indent
from typing import Any

ROOT = Path(__file__).parents[3]
ORDINARY_UID = 65534
PLAIN = "tests.fakes.plain_loader:compile_plugin"
"""Loads ordinary unrestricted Python."""

PRELUDE = """
import ctypes, errno, os, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *values):
    whole = [ctypes.c_long(v) if isinstance(v, int) else v for v in values]
    outcome = libc.syscall(ctypes.c_long(number), *whole)
    if outcome == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return outcome
def room(size=4096):
    return ctypes.create_string_buffer(size)
def raw(payload):
    os.write(3, struct.pack(">I", len(payload)) + payload)
"""


@dataclass(frozen=True)
class Attempt:
    """A program that returns something true if it got out.

    Attributes:
        body: The body of a function.
        control: Whether it is safe, and must succeed, outside the sandbox.
        timeout: Seconds the plugin gets.
        limits: Limits that differ from the defaults.
    """

    body: str
    control: bool = False
    timeout: float = 5
    limits: dict[str, int] = field(default_factory=dict[str, int])


class Arena:
    """A process that hosts a pool; `user` drops it to an ordinary uid first."""

    def __init__(self, *layers: str, user: int | None = None, loader: str = PLAIN) -> None:
        identity: dict[str, Any] = {}
        if user is not None:
            identity = {"user": user, "group": user, "extra_groups": []}
        self._process = subprocess.Popen(
            [interpreter(user), "-m", "tests.escape.process.driver", loader, *layers],
            cwd=ROOT,
            env={"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **identity,
        )

    def outcome(self, attempt: Attempt) -> dict[str, Any]:
        source = f"{PRELUDE}\n@tool\ndef attempt():\n{indent(attempt.body, '    ')}\n"
        return self.run(source, "attempt", timeout=attempt.timeout, limits=attempt.limits)

    def run(
        self,
        source: str,
        function: str,
        *,
        timeout: float = 5,
        limits: dict[str, int] | None = None,
    ) -> dict[str, Any]:
        """Load some source and call a function of it; one process, used once."""
        request = {
            "source": source,
            "function": function,
            "timeout": timeout,
            "limits": limits or {},
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def outside(attempt: Attempt) -> bool:
    """Runs the same program unconfined; says whether it succeeded."""
    program = f"{PRELUDE}\ndef attempt():\n{indent(attempt.body, '    ')}\n"
    program += "\nsys.stderr.write('ESCAPED' if attempt() else 'HELD')"
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"HOST_TEST_SECRET": "hunter2-in-the-environment"},
    )
    return "ESCAPED" in outcome.stderr


@cache
def interpreter(user: int | None) -> str:
    """This Python, or the system's of the same version when `user` cannot reach this one."""
    if user is None:
        return sys.executable
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/python{version}"):
        try:
            subprocess.run(
                [candidate, "-c", ""], user=user, group=user, extra_groups=[], check=True
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return candidate
    return ""
