"""The command that the suite's client scenarios run: `client_driver URL`.

It starts a host whose only upstream is the test server at URL, connects a plain client to the host
and uses everything that the test server offers through it. So what the test server judges is the
host's own upstream client. `--direct` leaves the host out, to prove the driver itself.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

import anyio

from tests.conformance.host_process import RunningHost, running_host
from tests.conformance.plain_client import PlainClient, RpcError, plain_client

JSON = dict[str, Any]
CIMD = "https://conformance-test.local/client-metadata.json"
BROWSER = f"{sys.executable} -m tests.conformance.browser %s"
LOGIN_SECONDS = 30
LOGINS = 3
LIST_ONLY = {"json-schema-ref-no-deref"}
"""Scenarios whose test server lists tools that it cannot run."""
_SAMPLES: dict[str, Any] = {
    "string": "text",
    "number": 2,
    "integer": 2,
    "boolean": True,
    "array": [],
    "object": {},
}


def entry(url: str, scenario: str, context: JSON) -> JSON:
    """Return the host's configuration of the test server."""
    server: JSON = {"url": url, "prefix": ""}
    if scenario.startswith("auth/"):
        known = {k: context[k] for k in ("client_id", "client_secret") if k in context}
        server["auth"] = {"type": "oauth", **(known or {"client_metadata_url": CIMD})}
    return server


def arguments_of(tool: JSON, tools: list[JSON]) -> JSON:
    """Return arguments that the tool's schema accepts."""
    schema = cast("JSON", tool["inputSchema"])
    if tool["name"] == "json_schema_echo":
        return {"schema": next(t for t in tools if t["name"] != tool["name"])["inputSchema"]}
    fields = cast("dict[str, JSON]", schema.get("properties", {}))
    required = cast("list[str]", schema.get("required", []))
    return {name: _SAMPLES.get(fields[name].get("type", "string"), "text") for name in required}


class Player:
    """Uses everything a server offers; logs in when the host says that it has to."""

    def __init__(self, client: PlainClient, login: Callable[[], None]) -> None:
        self.client = client
        self.login = login
        self.logins = 0

    async def request(self, method: str, params: JSON | None = None) -> JSON:
        """Send a request; when the host wants a log-in for it, log in and send it again."""
        while True:
            try:
                return await self.client.request(method, params)
            except RpcError as error:
                if "login" not in str(error) or self.logins >= LOGINS:
                    raise
                self.logins += 1
                await anyio.to_thread.run_sync(self.login)

    async def offered(self, kind: str) -> list[JSON]:
        """Return every tool, resource or prompt; of the last two only what was declared."""
        if kind != "tools" and kind not in self.client.server["capabilities"]:
            return []
        found = cast("list[JSON]", (await self.request(f"{kind}/list")).get(kind, []))
        return [one for one in found if not is_own(one)]

    async def play(self, calls: list[JSON], *, list_only: bool) -> None:
        """List and use tools, resources and prompts; `calls` replaces the sample calls."""
        tools = await self.offered("tools")
        if list_only:
            return
        calls = calls or [{"name": t["name"], "arguments": arguments_of(t, tools)} for t in tools]
        names = {tool["name"] for tool in tools}
        if "test_mrtr_unrelated" in names:
            unrelated: JSON = {"name": "test_mrtr_unrelated", "arguments": {}}
            self.client.between_rounds = lambda: self.client.round("tools/call", unrelated)
        for call in calls:
            await self.request("tools/call", call)
        for resource in await self.offered("resources"):
            await self.request("resources/read", {"uri": resource["uri"]})
        for prompt in await self.offered("prompts"):
            await self.request("prompts/get", {"name": prompt["name"]})


def is_own(listed: JSON) -> bool:
    """Whether the host itself offers a tool, prompt or resource, and not the suite's server."""
    own = ("host__", "agent__", "orchestrator__")
    return listed["name"].startswith(own) or listed.get("uri", "").startswith("run://")


def log_in(host: RunningHost) -> None:
    """Run `host servers login suite` with a browser that only follows redirects."""
    subprocess.run(
        [sys.executable, "-m", "host", "servers", "login", "suite", "--config", str(host.config)],
        env={**host.env, "BROWSER": BROWSER},
        timeout=LOGIN_SECONDS,
        check=True,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def _target(url: str, scenario: str, context: JSON, direct: bool) -> Generator[Any]:
    if direct:
        yield url, lambda: None
        return
    with running_host({"servers": {"suite": entry(url, scenario, context)}}) as host:
        try:
            yield host.url, lambda: log_in(host)
        finally:
            sys.stderr.write(host.log)


async def drive(url: str, *, direct: bool) -> None:
    """Play the scenario that the suite's environment names against the server at `url`."""
    scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
    revision = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "2026-07-28")
    context: JSON = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    with _target(url, scenario, context, direct) as (address, login):
        if scenario.startswith("auth/") and not direct:
            login()
        async with plain_client(address, revision) as client:
            await Player(client, login).play(
                context.get("toolCalls", []), list_only=scenario in LIST_ONLY
            )


def _stop(number: int, frame: object) -> None:
    sys.exit(128 + number)


def main() -> None:
    """Drive one scenario; ends with a traceback, and so non-zero, when a request failed."""
    # The suite ends a client that is too slow; the host must not outlive it.
    signal.signal(signal.SIGTERM, _stop)
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.client_driver")
    parser.add_argument("--direct", action="store_true", help="without a host between")
    parser.add_argument("url")
    options = parser.parse_args()
    anyio.run(lambda: drive(options.url, direct=options.direct))


if __name__ == "__main__":
    main()
