"""Runs attempts for the escape tests: one JSON request a line in, one JSON outcome a line out."""

import json
import os
import sys
from typing import Any

import anyio

from host.domain.errors import (
    PluginDiedError,
    PluginFailedError,
    PluginLoadError,
    PluginProtocolError,
    PluginTimeoutError,
    SandboxError,
)
from host.sandbox.broker import Log, Progress, StateStore
from host.sandbox.config import Limits, SandboxConfig
from host.sandbox.pool import SandboxPool

OUTCOMES: dict[type[SandboxError], str] = {
    PluginFailedError: "failed",
    PluginDiedError: "died",
    PluginTimeoutError: "timed out",
    PluginProtocolError: "protocol",
    PluginLoadError: "rejected",
}


class EchoBroker:
    """Answers a tool call with its own arguments; has no state and no secrets."""

    @property
    def state(self) -> StateStore:
        raise SandboxError("This plugin has no state.")

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        return {"name": name, "arguments": arguments}

    async def secret(self, name: str) -> str:
        raise SandboxError(f"{name} is not granted.")

    async def note(self, note: Log | Progress) -> None:
        return None


async def outcome_of(pool: SandboxPool, request: dict[str, Any]) -> dict[str, Any]:
    worker = None
    try:
        worker = await pool.start(
            request["source"],
            plugin="attempt",
            tenant="stranger",
            broker=EchoBroker(),
            limits=Limits(**request.get("limits", {})),
        )
        result = await worker.call(request["function"], {}, timeout=request.get("timeout", 5))
    except SandboxError as error:
        return {"outcome": OUTCOMES.get(type(error), "refused"), "message": str(error)}
    else:
        return {"outcome": "returned", "value": result.value, "output": len(result.output)}
    finally:
        if worker is not None:
            worker.stop()


async def main(loader: str, layers: tuple[str, ...]) -> None:
    os.environ["HOST_TEST_SECRET"] = "hunter2-in-the-environment"  # noqa: S105 - a bait
    confinement = "reduced" if layers == ("none",) else "standard"
    settings = SandboxConfig(confinement=confinement)
    async with SandboxPool(settings, loader=loader, layers=layers) as pool:
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            print(json.dumps(await outcome_of(pool, json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], tuple(sys.argv[2:]))
