"""Long results of one id, from a model that begins anew with the ids of calls in each reply."""

from pathlib import Path

import pytest

from host.domain.jsonrpc import Json
from tests.agents.scene import Scene, open_agents
from tests.agents.test_life import crash
from tests.agents.test_loop import call

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("ids_of_each_reply")]

LONG: list[Json] = [call("notes__long"), call("notes__add", text="b" * 400 + "THE SECOND")]
READ_ON: list[Json] = [
    call("read_more", result="call_0", offset=400),
    call("read_more", result="call_0-2", offset=400),
    {"reply": "done"},
]


def write(scene: Scene, *between: Json) -> None:
    scene.notes.long = "a" * 400 + "THE FIRST"
    scene.agent("reader", [*LONG, *between, *READ_ON], result_tokens=100)


async def read_on(scene: Scene, run_id: str) -> tuple[str, str, str]:
    """Return the page that named the second result, and the ends of both that were read then."""
    events = await scene.events(run_id)
    results = [str(event.data["text"]) for event in events if event.kind == "result"]
    return results[1], results[-2], results[-1]


async def test_both_are_read_on_under_names_of_their_own(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        write(scene)
        named, first, second = await read_on(scene, (await scene.ask("reader")).run.id)
    assert "result='call_0-2' and offset=400" in named
    assert (first.startswith("THE FIRST"), "THE SECOND" in second) == (True, True)


async def test_both_keep_their_names_over_a_crash(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        write(scene, call("notes__look"))
        active = await scene.start("reader")
        await scene.notes.begun.wait()
        await crash(scene, active.run.id)
        scene.notes.gate.set()
        await (await scene.runner.resume(scene.exchange(), active.run.id)).wait()
        _, first, second = await read_on(scene, active.run.id)
    assert (first.startswith("THE FIRST"), "THE SECOND" in second) == (True, True)
