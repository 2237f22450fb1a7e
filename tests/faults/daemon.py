"""Real daemons and bridges of a folder of their own, found and ended by their process ids."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from tests.conformance.host_process import REPOSITORY, host_environment
from tests.fakes.misbehaviour import Json

PATIENCE = 60.0
"""Seconds that anything may take before the test has failed."""


class Bridge:
    """A real `host serve --stdio`, spoken to in raw lines."""

    def __init__(self, env: dict[str, str], config: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "host", "serve", "--stdio", "--config", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            cwd=config.parent,
        )
        self.lines: queue.Queue[Json | None] = queue.Queue()
        self.answers: dict[Any, Json] = {}
        self.next_id = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def post(self, message: Json) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def send(self, method: str, params: Json | None = None, *, request_id: Any = None) -> Any:
        """Send a request and return its id."""
        self.next_id += 1
        if request_id is None:
            request_id = self.next_id
        self.post({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params or {}})
        return request_id

    def wait(self, request_id: Any) -> Json:
        """Return the answer to a request."""
        deadline = time.monotonic() + PATIENCE
        while request_id not in self.answers:
            message = self.lines.get(timeout=deadline - time.monotonic())
            assert message is not None, "the bridge ended"
            if "method" not in message:
                self.answers[message["id"]] = message
        return self.answers.pop(request_id)

    def request(self, method: str, params: Json | None = None) -> Json:
        return self.wait(self.send(method, params))

    def initialize(self) -> None:
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "b"}}
        assert "result" in self.request("initialize", params)
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, name: str, arguments: Json | None = None) -> Json:
        return self.request("tools/call", {"name": name, "arguments": arguments or {}})

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


class Yard:
    """A folder with a configuration, where bridges start daemons."""

    def __init__(self, folder: Path, servers: Json) -> None:
        self.folder = folder
        self.env = {**host_environment(folder), "PYTHONPATH": str(REPOSITORY)}
        for sub in ("home", "data", "run"):
            (folder / sub).mkdir(mode=0o700)
        self.config = folder / "host.yaml"
        self.config.write_text(json.dumps({"servers": servers, "policy": {"base": "permissive"}}))
        self.bridges: list[Bridge] = []

    def bridge(self) -> Bridge:
        bridge = Bridge(self.env, self.config)
        self.bridges.append(bridge)
        bridge.initialize()
        return bridge

    def host(self, *words: str) -> Any:
        """Run a `host` command and return the JSON that it prints."""
        command = [sys.executable, "-m", "host", *words, "--json"]
        done = subprocess.run(
            command,
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def exported(self, tool: str) -> list[Json]:
        """Return the calls of a tool that `host audit export` knows as ended well."""
        words = ["audit", "export", "--tool", tool, "--outcome", "ok"]
        done = subprocess.run(
            [sys.executable, "-m", "host", *words],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def daemon(self) -> int:
        """Return the daemon's process id."""
        return self.host("status")["pid"]

    def journal(self) -> Path:
        return self.folder / "data" / "journal"


@contextlib.contextmanager
def open_yard(servers: Json) -> Generator[Yard]:
    folder = Path(tempfile.mkdtemp(prefix="mcph-"))
    folder.chmod(0o755)
    yard = Yard(folder, servers)
    try:
        yield yard
    finally:
        for bridge in yard.bridges:
            bridge.close()
        status = yard.host("status")
        if status is not None:
            os.kill(status["pid"], signal.SIGTERM)
            wait_until(lambda: not is_alive(status["pid"]))
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a state of other processes, which send no event."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes_of(folder: Path) -> set[int]:
    """Return the processes whose command line names a folder, PostgreSQL's among them."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if str(folder) in (entry / "cmdline").read_text():
                    found.add(int(entry.name))
    return found
