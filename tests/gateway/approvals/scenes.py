"""The scene of approvals: a person at a client, a policy that asks, and those who answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from host.app import TERMINAL
from host.approvals.approval import Answer
from host.domain.principal import Principal
from tests.fakes.gateway_scene import Scene, open_scene, stdio
from tests.fakes.misbehaviour import Json
from tests.fakes.raw_client import ALL, accept, refuse

ERAS = ["handshake", "stateless"]
SOON: Json = {"wait": 0, "progress": 0.01}
PATIENT: Json = {"wait": 60, "progress": 0.05}


class Person:
    """Somebody at an attended client."""

    def __init__(self, *answers: Json) -> None:
        self.answers = list(answers)
        self.asked: list[Json] = []
        self.done: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, method: str, params: Json) -> Json:
        if method == "sampling/createMessage":
            return await accept(method, params)
        if "Approval needed" not in str(params.get("message")):
            return {"action": "accept", "content": {"said": params.get("message")}}
        self.asked.append(params)
        self.done.put_nowait(None)
        return self.answers.pop(0)


def says(answer: str, **content: Any) -> Json:
    return {"action": "accept", "content": {"answer": answer, **content}}


def text(result: Json) -> str:
    return result["content"][0]["text"]


@asynccontextmanager
async def scene_of(
    data: Path,
    *,
    era: str = "both",
    approvals: Json = PATIENT,
    server: Json | None = None,
    child: bool = False,
) -> AsyncGenerator[Scene]:
    web: dict[str, Json] = {"bad": {"era": era, **(server or {})}}
    async with open_scene(
        {"bad": stdio()} if child else {},
        web={} if child else web,
        policy="default",
        data=data,
        approvals=approvals,
        auth="token",
    ) as scene:
        write_policy(scene)
        yield scene


def token(scene: Scene, name: str = "ide", *, attended: bool = True) -> str:
    return scene.host.tokens.create(name, attended=attended, replace=True)


def open_client(scene: Scene, kind: str, person: Any = refuse, *, attended: bool = True) -> Any:
    own = token(scene, attended=attended)
    return getattr(scene, kind)(person, bare=True, token=own, **ALL)


def write_policy(scene: Scene, *rules: str) -> None:
    """Let everything be asked about, once where no rule says every time, but for these rules."""
    folder = scene.host.paths.config / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    talk = "{name: talk, action: allow, match: {method: [elicitation, roots]}}"
    (folder / "mine.yaml").write_text(f"default: ask\nrules: [{', '.join((talk, *rules))}]\n")


def intents(scene: Scene) -> list[Json]:
    return [entry for entry in scene.entries() if entry["kind"] == "intent"]


def notes(scene: Scene) -> list[str]:
    names = [entry["name"] for entry in scene.entries() if entry["kind"] == "note"]
    return [name for name in names if name.startswith("approval.")]


async def one_waiting(scene: Scene) -> Any:
    """Return the approval that waits, once one does."""
    version = 0
    while True:
        found = [one for one in await scene.host.inbox.approvals() if one.state == "pending"]
        if found:
            return found[0]
        version = await scene.host.board.changed(version, limit=30)


async def answer(
    scene: Scene, *, approve: bool = True, by: Principal = TERMINAL, **more: Any
) -> Any:
    approval = await one_waiting(scene)
    said = Answer(approve=approve, by=by, channel="cli", digest=approval.digest, **more)
    return await scene.host.inbox.answer(approval.id, said)


async def first_question(client: Any, tool: str = "bad__echo", **arguments: Any) -> Json:
    result = await client.once("tools/call", {"name": tool, "arguments": arguments})
    assert result["resultType"] == "input_required"
    return result


def retry(first: Json, reply: Json, tool: str = "bad__echo", **arguments: Any) -> Json:
    return {
        "name": tool,
        "arguments": arguments,
        "inputResponses": dict.fromkeys(first["inputRequests"], reply),
        "requestState": first["requestState"],
    }
