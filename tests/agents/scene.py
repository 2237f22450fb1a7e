"""A host with agents on scripted models and a small provider of tools, in the test's process."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from host.agents.active import Active
from host.agents.order import Order, Outcome
from host.agents.runner import Runner
from host.app import Host
from host.config.load import load_settings
from host.config.paths import Paths
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.events.run import Event
from host.gateway.exchange import Exchange, QuietExchange, QuietSession, Session
from host.gateway.local import LocalProvider, text_result

PATIENCE = 60.0
"""Seconds after which a scene that hangs is a failed test."""

READS: Json = {"readOnlyHint": True, "openWorldHint": False}
CHANGES: Json = {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False}


def tool(name: str, annotations: Json, **properties: str) -> Json:
    """Return a tool's definition; each property is `name=type`."""
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"name": name, "inputSchema": schema, "annotations": annotations}


class Notes(LocalProvider):
    """Tools that remember how they were called.

    Attributes:
        gate: Calls of `wait` and `look` go on when it is set; `begun` tells that one has begun.
    """

    def __init__(self, on_notice: Any) -> None:
        super().__init__("notes", on_notice)
        self.calls: list[tuple[str, Json]] = []
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()
        self.long = "x"

    @override
    async def tools(self) -> list[Json]:
        return [
            tool("read", READS, title="string"),
            tool("add", CHANGES, text="string"),
            tool("wait", CHANGES),
            tool("look", READS),
            tool("long", READS),
            tool("ask", CHANGES),
        ]

    @override
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        self.calls.append((name, arguments))
        if name in ("wait", "look"):
            self.begun.set()
            await self.gate.wait()
        if name == "long":
            return text_result(self.long)
        if name == "ask":
            question = {"message": "Really?", "requestedSchema": {"type": "object"}}
            answer = await exchange.ask("elicitation/create", question)
            return text_result(f"answered: {answer['action']}")
        return text_result(f"{name}: {json.dumps(arguments)}")


class AnsweringSession(QuietSession):
    """A session whose client accepts whatever it is asked."""

    asked: list[str]

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        self.asked = [*getattr(self, "asked", []), str((params or {}).get("message"))]
        return {"action": "accept", "content": {}}


@dataclass
class Scene:
    """A running host.

    Attributes:
        principal: A user that no other test has.
    """

    host: Host
    folder: Path
    principal: Principal
    notes: Notes

    @property
    def runner(self) -> Runner:
        return self.host.agents.runner

    def agent(self, name: str, turns: list[Json] | None = None, **config: Any) -> None:
        """Write an agent, and the script of its model."""
        agents = self.folder / "config" / "agents"
        agents.mkdir(parents=True, exist_ok=True)
        if turns is not None:
            self.script(name, turns)
        body = {"model": f"scripted:{name}", "tools": ["notes"], **config}
        (agents / f"{name}.yaml").write_text(yaml.safe_dump(body))

    def script(self, name: str, turns: list[Json], *, loop: bool = False) -> None:
        scripts = self.folder / "config" / "models" / "scripts"
        scripts.mkdir(parents=True, exist_ok=True)
        (scripts / f"{name}.yaml").write_text(yaml.safe_dump({"turns": turns, "loop": loop}))

    def exchange(self, session: Session | None = None) -> Exchange:
        return QuietExchange(session or QuietSession(self.principal, "cli"), None)

    async def start(
        self, agent: str, text: str = "Hello", session: Session | None = None, **order: Any
    ) -> Active:
        order = {"agent": agent, "content": text, **order}
        return await self.runner.start(self.exchange(session), Order(**order))

    async def ask(
        self, agent: str, text: str = "Hello", session: Session | None = None, **order: Any
    ) -> Outcome:
        return await (await self.start(agent, text, session, **order)).wait()

    async def events(self, run_id: str) -> list[Event]:
        return await self.host.agents.runs.events(self.principal, run_id)

    async def kinds(self, run_id: str) -> list[str]:
        return [event.kind for event in await self.events(run_id)]


@contextlib.asynccontextmanager
async def open_agents(
    store_folder: Path, tmp_path: Path, *, user: str | None = None, policy: str = "permissive"
) -> AsyncGenerator[Scene]:
    """Open a host on the tests' database."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(PATIENCE))
        paths = Paths(tmp_path / "config", store_folder, tmp_path / "run")
        file = tmp_path / "host.yaml"
        file.write_text(json.dumps({"servers": {}, "policy": {"base": policy}}))
        loaded = load_settings(file, paths=paths, environ={})
        host = await stack.enter_async_context(Host.open(loaded, paths))
        notes = Notes(host.gateway.on_notice)
        host.own["notes"] = notes
        principal = Principal(user or f"user-{secrets.token_hex(4)}", "test")
        yield Scene(host, tmp_path, principal, notes)
