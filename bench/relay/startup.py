"""How long it takes until something answers: the bridge, the daemon, a FastMCP server, `--help`."""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.relay.paths import ENV, PEER, bridge
from bench.relay.wire import HANDSHAKE, request
from tests.conformance.host_process import RunningHost, host_environment

HELP = [sys.executable, "-m", "host", "--help"]
BRIDGE = [sys.executable, "-m", "host", "serve", "--stdio"]
BARE = [sys.executable, "-c", "pass"]
_INITIALIZE = {
    "protocolVersion": HANDSHAKE,
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


def time_command(command: list[str], env: Mapping[str, str]) -> float:
    """Return the seconds a command runs."""
    start = time.perf_counter()
    subprocess.run(command, env=dict(env), capture_output=True, check=True, timeout=60)
    return time.perf_counter() - start


def time_initialize(command: list[str], env: Mapping[str, str]) -> float:
    """Return the seconds from starting a stdio server to its answer to `initialize`."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(env),
        start_new_session=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request(1, "initialize", _INITIALIZE) + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        took = time.perf_counter() - start
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    if "result" not in json.loads(answer or b"{}"):
        raise RuntimeError(f"{' '.join(command)} did not answer initialize: {answer[:300]!r}")
    return took


def _daemon_pids(folder: Path) -> list[int]:
    """Return the processes whose environment names this data folder."""
    wanted, found = f"HOST_DATA_DIR={folder / 'data'}".encode(), list[int]()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def time_cold_bridge() -> float:
    """Return the seconds until a bridge answers that had to start the daemon first."""
    with tempfile.TemporaryDirectory(prefix="mcpb-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for sub in ("home", "data", "run"):
            (folder / sub).mkdir(mode=0o700)
        config = folder / "host.yaml"
        config.write_text('{"servers": {}}')
        env = {**host_environment(folder), "HOST_CONFIG": str(config)}
        try:
            return time_initialize(BRIDGE, env)
        finally:
            subprocess.run(
                [sys.executable, "-m", "host", "stop"],
                env=env,
                capture_output=True,
                check=False,
                timeout=30,
            )
            for pid in _daemon_pids(folder):
                os.kill(pid, signal.SIGKILL)


def measure_startup(host: RunningHost | None, *, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each kind of start, taking turns so that all see the same machine."""
    kinds: dict[str, Callable[[], float]] = {
        "python": lambda: time_command(BARE, ENV),
        "fastmcp server": lambda: time_initialize([*PEER, "one-tool"], ENV),
    }
    if host is not None:
        way = bridge(host)
        kinds |= {
            "host --help": lambda: time_command(HELP, ENV),
            "bridge, daemon running": lambda: time_initialize(way.command, way.env),
            "bridge, daemon not running": time_cold_bridge,
        }
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(repeats):
        for kind, measure in kinds.items():
            try:
                times[kind].append(measure())
            except (subprocess.SubprocessError, RuntimeError, OSError) as error:
                sys.stderr.write(f"{kind}: {error}\n")
    return {kind: found for kind, found in times.items() if found}


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of each."""
    return {kind: statistics.median(found) for kind, found in times.items()}
