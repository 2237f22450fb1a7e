"""The ways from the load client to one tool: direct, through the host, through a FastMCP proxy."""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

from bench.relay.wire import Call, HttpWire, StdioWire, Wire
from tests.conformance.host_process import (
    REPOSITORY,
    HostFailedError,
    RunningHost,
    end,
    free_port,
    running_host,
    running_upstream,
    upstream_command,
)

ENV = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
PEER = [sys.executable, "-m", "bench.relay.peers"]


@dataclass(frozen=True)
class Route:
    """One way to the tool: a URL, or a command with its environment; `pids` are its processes."""

    name: str
    transport: str
    tool: str = "echo"
    url: str = ""
    command: list[str] = field(default_factory=list[str])
    env: dict[str, str] = field(default_factory=lambda: dict(ENV))
    pids: tuple[int, ...] = ()

    def changing(self) -> "Route":
        """Return the way to a tool that does the same and may change something."""
        return replace(self, tool=self.tool.replace("echo", "note"))

    async def open(self, *, stateless: bool) -> Wire:
        """Connect in one era."""
        call = Call(self.tool, stateless=stateless)
        if self.url:
            return await HttpWire(self.url, call).open()
        return await StdioWire.open(self.command, self.env, call)


@dataclass(frozen=True)
class Bench:
    """What a run measures: the routes, and the host for what concerns it alone."""

    routes: list[Route]
    host: RunningHost | None


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=1)
    try:
        connection.request("GET", parts.path)
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True


@contextmanager
def _proxy(url: str) -> Generator[Route]:
    port = free_port()
    process = subprocess.Popen(
        [*PEER, "--url", url, "--http", str(port), "proxy"],
        env=ENV,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        route = Route("proxy", "http", url=f"http://127.0.0.1:{port}/mcp", pids=(process.pid,))
        deadline = time.monotonic() + 30
        while not _answers(route.url) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield route
    finally:
        end(process)


POLICY = """
extends:
  - policy: default
    except:
      destructive: [{name: [web__note, pipe__note]}]
      changes-after-untrusted: [{name: [web__note, pipe__note]}]
rules:
  - {name: note, action: allow, match: {name: [web__note, pipe__note]}}
"""
"""The policy that holds by default, in which a trusted server's reading tool passes unasked; the
tool that changes something is allowed by a rule of its own, since nobody is there to be asked."""


def bridge(host: RunningHost) -> Route:
    """Return the way through the bridge to a running host."""
    env = {**host.env, "HOST_CONFIG": str(host.config)}
    command = [sys.executable, "-m", "host", "serve", "--stdio"]
    pid = host.process.pid
    return Route("host", "stdio", tool="pipe__echo", command=command, env=env, pids=(pid,))


def _host_routes(stack: ExitStack, url: str) -> tuple[list[Route], RunningHost | None]:
    command, *rest = upstream_command("--stdio")
    env = {"PYTHONPATH": str(REPOSITORY)}
    servers = {
        "web": {"url": url, "trusted": True},
        "pipe": {"command": command, "args": rest, "env": env, "trusted": True},
    }
    try:
        host = stack.enter_context(running_host({"servers": servers}, policy=POLICY))
    except HostFailedError as error:
        sys.stderr.write(f"The host is left out: {error}\n")
        return [], None
    pids = (host.process.pid,)
    return [Route("host", "http", tool="web__echo", url=host.url, pids=pids), bridge(host)], host


@contextmanager
def prepared() -> Generator[Bench]:
    """Start the upstream, the host and the proxy; end them afterwards."""
    with ExitStack() as stack:
        upstream = stack.enter_context(running_upstream())
        direct = Route("direct", "http", url=upstream.url, pids=(upstream.pid,))
        pipe = upstream_command("--stdio")
        found, host = _host_routes(stack, upstream.url)
        routes = [
            direct,
            Route("direct", "stdio", command=pipe),
            *found,
            stack.enter_context(_proxy(upstream.url)),
            Route("proxy", "stdio", command=[*PEER, "proxy", *pipe]),
        ]
        yield Bench(routes, host)
