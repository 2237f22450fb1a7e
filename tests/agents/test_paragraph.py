"""What an agent's file says of instructions, memory, planning and long results is in force."""

from pathlib import Path

import pytest

from host.agents.order import Outcome
from host.agents.replay import replay_run
from host.domain.errors import ConfigError
from host.domain.jsonrpc import Json
from host.memory.core import Edit
from host.memory.memory import Memory
from tests.agents.scene import Scene, open_agents

pytestmark = pytest.mark.anyio

SAID: list[Json] = [{"reply": "Tea is kept in the blue tin."}]
RECALLED: list[Json] = [{"reply": "${prompt}"}]


async def recalled_by(scene: Scene, outcome: Outcome) -> str:
    events = await scene.events(outcome.run.id)
    return "".join(event.data["text"] for event in events if event.kind == "recalled")


async def test_what_was_said_is_kept_and_recalled_by_the_same_agent_alone(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.script("keeper", SAID, loop=True)
        memory = {"long_term": True, "scopes": ["agent"], "tiers": ["recall"]}
        scene.agent("keeper", None, memory=memory)
        await scene.ask("keeper", "Where is the tea?")
        again = await scene.ask("keeper", "Which tin holds the tea?")
        scene.agent("other", SAID, memory=memory)
        scene.agent("off", SAID, memory={**memory, "long_term": False})
        others = [await scene.ask(name, "Which tin holds the tea?") for name in ("other", "off")]
        recalled = [event for event in await scene.events(again.run.id) if event.kind == "recalled"]
        assert "blue tin" in recalled[0].data["text"]
        for outcome in others:
            assert "recalled" not in await scene.kinds(outcome.run.id)


async def test_tiers_and_scopes_say_what_is_recalled(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        memory = {"long_term": True, "scopes": ["agent"]}
        scene.agent("keeper", None, memory=memory)
        scene.script("keeper", SAID, loop=True)
        await scene.ask("keeper", "Where is the tea?")
        for narrowed in ({"tiers": ["core"]}, {"scopes": ["shared"]}, {"recall": 0}):
            scene.agent("keeper", None, memory={**memory, **narrowed})
            outcome = await scene.ask("keeper", "Which tin holds the tea?")
            assert "recalled" not in await scene.kinds(outcome.run.id)


async def test_core_blocks_are_in_the_context_whatever_is_asked_and_told_once(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        core = Memory(scene.host.store, scene.principal).core
        await core.write("person", Edit("The user is called Zebediah."))
        await core.write("own", Edit("Speaks in rhymes."), agent="keeper")
        await core.write("own", Edit("Speaks in riddles."), agent="other")
        scene.script("keeper", RECALLED, loop=True)
        scene.agent("keeper", None, memory={"long_term": True})
        scene.agent("plain", None, model="scripted:keeper")
        scene.agent(
            "past", None, model="scripted:keeper", memory={"long_term": True, "tiers": ["recall"]}
        )
        first = await scene.ask("keeper", "How are you?")
        again = await scene.ask("keeper", "And now?", thread=first.run.thread)
        await core.write("person", Edit("The user is called Obadiah."))
        changed = await scene.ask("keeper", "And then?", thread=first.run.thread)
        others = [await scene.ask(name, "How are you?") for name in ("plain", "past")]
        told = [await recalled_by(scene, outcome) for outcome in (first, again, changed)]

        assert "<person>\nThe user is called Zebediah.\n</person>" in told[0]
        assert "rhymes" in told[0]
        assert "riddles" not in told[0]
        assert "Zebediah.\n</person>" not in told[1]
        assert "Obadiah" in told[2]
        assert [await recalled_by(scene, outcome) for outcome in others] == ["", ""]
        replayed = await replay_run(scene.host.agents.runs, scene.principal, changed.run.id)
        assert replayed.differences == []


async def test_instructions_come_from_text_file_or_library_and_planning_is_added(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        folder = scene.folder / "config"
        (folder / "agents").mkdir(parents=True)
        (folder / "prompts").mkdir()
        (folder / "agents" / "said.txt").write_text("From a file, {{ agent }}.")
        (folder / "prompts" / "house.md").write_text("From the library, {{ vars.who }}.")
        scene.agent("text", None, instructions="From {{ vars.who }}.", variables={"who": "text"})
        scene.agent("file", None, instructions_file="said.txt")
        scene.agent("prompt", None, prompt="house", variables={"who": "ann"}, planning=True)
        library = scene.host.agents.library
        told = [library.get(name).instructions() for name in ("text", "file", "prompt")]
    assert told[:2] == ["From text.", "From a file, file."]
    assert told[2].startswith("From the library, ann.")
    assert "numbered plan" in told[2]
    assert "numbered plan" not in told[0]


async def test_instructions_reach_nothing_of_python(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("sly", SAID, instructions="{{ agent.__class__.__mro__ }}")
        outcome = await scene.ask("sly")
        assert outcome.status == "failed"
        assert "class" not in outcome.text
        scene.agent("greedy", SAID, instructions="{{ secrets }}")
        with pytest.raises(ConfigError, match="which nobody gives"):
            scene.host.agents.library.get("greedy")


async def test_long_result_is_stored_whole_and_read_on_in_a_later_run(
    store_folder: Path, tmp_path: Path
) -> None:
    first: list[Json] = [{"calls": [{"tool": "notes__long"}]}, {"reply": "Long."}]
    async with open_agents(store_folder, tmp_path) as scene:
        scene.notes.long = "a" * 1000 + "the end"
        scene.agent("reader", first, result_tokens=100)
        outcome = await scene.ask("reader", "Read it")
        [result] = [one for one in await scene.events(outcome.run.id) if one.kind == "result"]
        arguments = {"result": result.data["id"], "offset": 900}
        more: list[Json] = [
            *first,  # said already, in the first run
            {"calls": [{"tool": "read_more", "arguments": arguments}]},
            {"reply": "${result}"},
        ]
        scene.agent("later", more, result_tokens=100)
        again = await scene.ask("later", "Go on", thread=outcome.run.thread)
        replayed = await replay_run(scene.host.agents.runs, scene.principal, again.run.id)
    assert result.data["whole"] == scene.notes.long
    assert len(result.data["text"]) < 600
    assert "the end" in again.text
    assert replayed.differences == []
