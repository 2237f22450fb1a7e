"""A host daemon of one's own: started on a free port with its own folders, ended by its pid."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 15


class HostFailedError(Exception):
    """The host did not come up; carries what it wrote."""


@dataclass(frozen=True)
class RunningHost:
    """A host that answers on `url`."""

    url: str
    process: "subprocess.Popen[bytes]"
    env: dict[str, str]
    folder: Path

    @property
    def config(self) -> Path:
        """The configuration file that it was started with."""
        return self.folder / "host.yaml"

    @property
    def log(self) -> str:
        """What it has written to stderr so far."""
        return (self.folder / "stderr.log").read_text(errors="replace")


def free_port() -> int:
    """Return a port for a program that will listen on it: nobody else is given it for a minute.

    A connection over it has just been closed. While the system remembers that, it hands the port
    to nobody who asks for any, and lets a server have it that names it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address):
            listener.accept()[0].close()
    return address[1]


def host_environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a host that keeps everything under `folder`."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(folder / "home"),
        "HOST_DATA_DIR": str(folder / "data"),
        "HOST_RUNTIME_DIR": str(folder / "run"),
        **(extra or {}),
    }


@contextmanager
def running_host(
    config: Mapping[str, Any],
    *,
    env: Mapping[str, str] | None = None,
    policy: str | None = None,
    module: str = "host",
) -> Generator[RunningHost]:
    """Start `host serve` with `config` in a temporary folder; end it when the block ends.

    Every call is allowed, unless `policy` says more or the configuration names another one.

    Args:
        config: What host.yaml is to say.
        env: Further variables.
        policy: A policy of the user's own, as YAML; None for none.
        module: What is run, by default the host.

    Raises:
        HostFailedError: It ended, or did not listen within a minute.
    """
    with tempfile.TemporaryDirectory(prefix="mcph-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for sub in ("home", "data", "run"):
            (folder / sub).mkdir(mode=0o700)
        if policy is not None:
            own = folder / "home" / ".config" / "mcp-agent-host" / "policies"
            own.mkdir(parents=True)
            (own / "own.yaml").write_text(policy)
        file = folder / "host.yaml"
        file.write_text(json.dumps({"policy": {"base": "permissive"}, **config}))
        file.chmod(0o600)
        port = free_port()
        environment = host_environment(folder, env)
        command = [sys.executable, "-m", module, "serve", "--config", str(file)]
        with (folder / "stderr.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--port", str(port), "--no-auth"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=folder / "home",
                start_new_session=True,
            )
        host = RunningHost(f"http://127.0.0.1:{port}/mcp", process, environment, folder)
        try:
            _wait_for_port(host, port)
            yield host
        finally:
            end(process)


def _wait_for_port(host: RunningHost, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if host.process.poll() is not None:
            raise HostFailedError(f"host ended with {host.process.returncode}:\n{host.log}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise HostFailedError(f"host does not listen after {START_SECONDS} s:\n{host.log}")


def end(process: "subprocess.Popen[Any]") -> None:
    """End a process that was started in a session of its own: politely, then for good."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def upstream_command(*arguments: str) -> list[str]:
    """Return the command line of the conformance upstream."""
    return [sys.executable, "-m", "tests.conformance.upstream", *arguments]


@dataclass(frozen=True)
class RunningUpstream:
    """A conformance upstream that answers on `url`."""

    url: str
    pid: int


@contextmanager
def running_upstream(*arguments: str) -> Generator[RunningUpstream]:
    """Run the conformance upstream on HTTP."""
    process = subprocess.Popen(
        upstream_command("--http", "0", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield RunningUpstream(process.stdout.readline().strip(), process.pid)
        finally:
            end(process)


@contextmanager
def http_upstream(*arguments: str) -> Generator[str]:
    """Run the conformance upstream on HTTP and give its URL."""
    with running_upstream(*arguments) as upstream:
        yield upstream.url


def stdio_entry(*arguments: str) -> dict[str, Any]:
    """Return the configuration of the conformance upstream as a stdio server."""
    command, *rest = upstream_command("--stdio", *arguments)
    environment = {"PYTHONPATH": str(REPOSITORY)}
    return {"command": command, "args": rest, "env": environment, "prefix": ""}


def http_entry(url: str) -> dict[str, Any]:
    """Return the configuration of a server at `url`."""
    return {"url": url, "prefix": ""}
