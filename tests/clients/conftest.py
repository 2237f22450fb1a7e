"""The servers that the real clients are pointed at: the host, or with `--direct` the upstream."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.clients.target import HttpTarget, StdioTarget, Target
from tests.conformance.host_process import (
    REPOSITORY,
    http_entry,
    http_upstream,
    running_host,
    upstream_command,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--direct`: prove the clients against the upstream itself, without a host."""
    parser.addoption("--direct", action="store_true", help="leave the host out")


@dataclass(frozen=True)
class Targets:
    """The same server over both transports, and how to reach the upstream behind it."""

    http: Target
    stdio: Target
    upstream: str


def _direct(stack: ExitStack) -> Targets:
    url = stack.enter_context(http_upstream())
    command, *rest = upstream_command("--stdio")
    stdio = StdioTarget(command, rest, {"PYTHONPATH": str(REPOSITORY)})
    return Targets(HttpTarget(url), stdio, url)


def _through_host(stack: ExitStack) -> Targets:
    url = stack.enter_context(http_upstream())
    host = stack.enter_context(running_host({"servers": {"everything": http_entry(url)}}))
    command, *_ = upstream_command()
    env = {**host.env, "HOST_CONFIG": str(host.config)}
    bridge = StdioTarget(command, ["-m", "host", "serve", "--stdio"], env)
    return Targets(HttpTarget(host.url), bridge, url)


@pytest.fixture(scope="session")
def targets(request: pytest.FixtureRequest) -> Iterator[Targets]:
    """Start the upstream, and the host in front of it unless `--direct` was given."""
    with ExitStack() as stack:
        direct = bool(request.config.getoption("--direct"))
        yield _direct(stack) if direct else _through_host(stack)


@pytest.fixture(params=["http", "stdio"])
def target(request: pytest.FixtureRequest, targets: Targets) -> Target:
    """Give the server over one transport."""
    return getattr(targets, request.param)
