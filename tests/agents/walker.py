"""A random walk through the life of a run and of one inside it: answers, kills, cancels, restarts.

Wherever it leads, in the end every change was made at most once, nobody is asked any more, nothing
goes on, and each run's replay is like the run.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import override

from host.agents.replay import replay_run
from host.approvals import grants
from host.approvals.approval import Answer, Approval
from host.approvals.grant import GrantTerms
from host.domain.errors import HostError, NotFoundError
from host.domain.jsonrpc import Json
from host.events.run import Run
from host.events.runs import Runs
from host.gateway.exchange import Exchange
from host.gateway.local import text_result
from tests.agents.scene import CHANGES, Notes, Scene, open_agents, tool
from tests.agents.test_loop import call
from tests.agents.test_parked import BOSS

LIVES = 4
"""Hosts that one after the other work on the run."""
OVER = ("succeeded", "failed", "cancelled")


class Puts(Notes):
    """Tools of which one changes something, and waits in the middle of it.

    Attributes:
        made: What was put there, over all lives.
    """

    def __init__(self, on_notice: Any, made: list[str]) -> None:
        super().__init__(on_notice)
        self.made = made

    @override
    async def tools(self) -> list[Json]:
        return [*await super().tools(), tool("put", CHANGES, text="string")]

    @override
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        if name != "put":
            return await super().call(exchange, name, arguments)
        self.made.append(arguments["text"])
        self.begun.set()
        await self.gate.wait()
        return text_result(f"put {arguments['text']}")


def put(text: str) -> Json:
    return call("notes__put", text=text)


INNER = [put("i1"), call("notes__read", title="r"), put("i2"), {"reply": "in: ${result}"}]
OUTER = [put("o1"), call("agent__inner", message="x"), put("o2"), {"reply": "out: ${result}"}]


@dataclass
class Walk:
    """One walk.

    Args:
        seed: Decides where it leads.
        store: The database's folder.
        folder: The hosts' configuration.
    """

    seed: int
    store: Path
    folder: Path
    made: list[str] = field(default_factory=list[str])
    steps: list[str] = field(default_factory=list[str])
    user: str | None = None
    run_id: str = ""
    granted: bool = False

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - the same walk for the same seed
        self.ways: dict[str, Callable[[Scene], Awaitable[None]]] = {
            "approve": lambda scene: self.answer(scene, approve=True),
            "deny": lambda scene: self.answer(scene, approve=False),
            "grant": self.grant,
            "approve and stop": self.race,
            "kill": self.kill,
            "cancel": lambda scene: self.cancel(scene, self.run_id),
            "cancel inside": self.cancel_inside,
            "resume": self.resume,
            "take up": self.take_up,
            "let through": self.let_through,
        }
        self.often = ["approve", "approve", "let through", "resume"]

    async def go(self) -> list[str]:
        """Walk to the end, and return what is wrong with what is left."""
        policy = "default"
        for _ in range(LIVES):
            async with self.host(policy) as scene:
                await self.begin(scene)
                for _ in range(self.chance.randint(2, 9)):
                    await self.step(scene)
            policy = self.chance.choice(["default", "default", "permissive"])
        async with self.host("default") as scene:
            return await self.finish(scene)

    @contextlib.asynccontextmanager
    async def host(self, policy: str) -> AsyncGenerator[Scene]:
        async with open_agents(self.store, self.folder, user=self.user, policy=policy) as scene:
            self.user = scene.principal.user
            scene.notes = scene.host.own["notes"] = Puts(scene.host.gateway.on_notice, self.made)
            yield scene

    async def begin(self, scene: Scene) -> None:
        if self.run_id:
            if self.chance.random() < 0.7:
                await self.take_up(scene)
            return
        limits = {"limits": {"tool_seconds": 0.7}} if self.seed % 5 == 4 else {}
        scene.agent("inner", INNER)
        scene.agent("outer", OUTER, agents=["inner"], **limits)
        self.run_id = (await scene.start("outer")).run.id

    async def step(self, scene: Scene) -> None:
        await self.until_quiet(scene, self.chance.choice([0.0, 0.03, 0.3, 1.0]))
        way = self.chance.choice([*self.ways, *self.often])
        self.steps.append(way)
        try:
            await self.ways[way](scene)
        except HostError as error:  # a person would be told so
            self.steps.append(f"({type(error).__name__})")

    async def until_quiet(self, scene: Scene, seconds: float) -> None:
        """Wait until somebody is asked, a call is being made or all is over, but not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while scene.runner.active and not scene.notes.begun.is_set():
                    if await self.asked(scene):
                        return
                    await asyncio.sleep(0.01)

    async def asked(self, scene: Scene) -> list[Approval]:
        found = await scene.host.inbox.approvals()
        return [one for one in found if one.state == "pending" and one.user == self.user]

    async def answer(self, scene: Scene, *, approve: bool) -> None:
        for one in await self.asked(scene):
            said = Answer(approve=approve, by=BOSS, channel="cli", digest=one.digest)
            await scene.host.inbox.answer(one.id, said)

    async def grant(self, scene: Scene) -> None:
        """Let such calls through for good, once in a walk at most."""
        asked = await self.asked(scene)
        if asked and not self.granted and self.chance.random() < 0.3:
            self.granted = True
            terms = GrantTerms(scope="always", exact=False)
            async with scene.host.store.transaction(scene.principal) as database:
                await grants.add(database, asked[0], terms, by=BOSS, destructive=False)

    async def race(self, scene: Scene) -> None:
        await self.answer(scene, approve=True)
        await asyncio.sleep(self.chance.random() * 0.03)
        if self.chance.random() < 0.5:
            await self.kill(scene)
        else:
            await self.cancel(scene, self.run_id)

    async def kill(self, scene: Scene) -> None:
        """Leave all runs as a killed process would, with or without their last events."""
        for active in list(scene.runner.active.values()):
            if self.chance.random() < 0.5:
                with contextlib.suppress(HostError):
                    await active.log.settle()
        family = list(scene.runner.active.values())
        for active in family:
            active.log.leaving = active.log.stale = True
        tasks = [active.task for active in family if active.task is not None]
        for task in tasks:
            task.cancel()
        for active in family:
            scene.runner.active.pop(active.run.id, None)
        runs = Runs(scene.host.store)  # another process's: what was not stored yet is lost
        for active in family:
            with contextlib.suppress(HostError):
                run = await runs.get(scene.principal, active.run.id)
                await runs.claim(scene.principal, run, force=True)
        if tasks:
            await asyncio.wait(tasks)
        async with scene.host.store.transaction(scene.principal) as database:
            await database.execute(
                "update host.runs set heartbeat = now() - interval '1 hour', holder = null "
                "where user_id = %s",
                [self.user],
            )

    async def cancel(self, scene: Scene, run_id: str) -> None:
        await scene.runner.cancel(scene.principal, run_id)

    async def cancel_inside(self, scene: Scene) -> None:
        for run_id in [one for one in scene.runner.active if one != self.run_id]:
            await self.cancel(scene, run_id)

    async def resume(self, scene: Scene) -> None:
        parked = self.chance.random() < 0.3
        await scene.runner.resume(scene.exchange(), self.run_id, parked=parked)

    async def take_up(self, scene: Scene) -> None:
        await scene.host.agents.take_up()

    async def let_through(self, scene: Scene) -> None:
        scene.notes.gate.set()
        await asyncio.sleep(0.02)
        scene.notes.gate.clear()
        scene.notes.begun.clear()

    async def finish(self, scene: Scene) -> list[str]:
        """Approve everything and resume, until the run has ended well."""
        scene.notes.gate.set()
        runs = scene.host.agents.runs
        try:
            run = await runs.get(scene.principal, self.run_id)
        except NotFoundError:  # it was killed before anything of it was stored
            return [f"{self.made} was made by a run of which nothing is stored"] * bool(self.made)
        while run.status != "succeeded":
            with contextlib.suppress(HostError):
                await self.answer(scene, approve=True)
                if self.run_id not in scene.runner.active:
                    waits = run.status == "parked"
                    await scene.runner.resume(scene.exchange(), self.run_id, parked=waits)
            await asyncio.sleep(0.03)
            run = await runs.get(scene.principal, self.run_id)
        return await self.look(scene, run)

    async def look(self, scene: Scene, run: Run) -> list[str]:
        """Return what is wrong with what is left."""
        runs = scene.host.agents.runs
        family = [run, *await runs.family(scene.principal, run.id)]
        results = [e.data["text"] for e in await scene.events(run.id) if e.kind == "result"]
        said = {text.removeprefix("put ") for text in results if text.startswith("put ")}
        replayed = [await replay_run(runs, scene.principal, one.id) for one in family]
        wrong = {
            "made twice": [text for text, count in Counter(self.made).items() if count > 1],
            "told and not made": sorted(said - set(self.made)),
            "still asked for": await self.asked(scene),
            "still at work": list(scene.runner.active),
            "not ended": [one.status for one in family if one.status not in OVER],
            "replayed otherwise": [found for one in replayed for found in one.differences],
        }
        return [f"{what}: {found}" for what, found in wrong.items() if found]
