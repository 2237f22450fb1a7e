"""How a run ends when something fails: in the documented state, with its words, nothing lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from host.agents.order import Outcome
from tests.agents.scene import Scene, open_agents
from tests.agents.test_loop import call
from tests.fakes.model_provider import ModelProvider, model_provider
from tests.fakes.model_wire import Answer

pytestmark = pytest.mark.anyio

LOOK = Answer(text="I look first.", calls=(("notes__read", {"title": "a"}),))
NAMES = {
    "anthropic": "claude-haiku-4-5",
    "openai": "gpt-4.1",
    "openai-chat": "gpt-4.1",
    "google": "gemini-2.5-flash",
    "ollama": "qwen3",
}
"""A model of each wire format."""
SCHEMA = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": False,
}


def configure(folder: Path, url: str = "", *, key: str = "k", **config: Any) -> None:
    """Write `models.yaml`, with every provider at one address, and the keys."""
    home = folder / "config"
    home.mkdir(exist_ok=True)
    bases = {name: url if name in {"anthropic", "google"} else f"{url}/v1" for name in NAMES}
    providers = {name: {"base_url": base} for name, base in bases.items()} if url else {}
    route = {"retries": 1, "max_wait": 0}
    routes = {name: {"models": [f"{name}:{model}"], **route} for name, model in NAMES.items()}
    body = {"providers": providers, "routes": routes, **config}
    (home / "models.yaml").write_text(json.dumps(body))
    variables = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GOOGLE_API_KEY")
    (home / ".env").write_text("".join(f"{name}={key}\n" for name in variables))


async def ended(scene: Scene, outcome: Outcome, *words: str) -> list[str]:
    """Check that a run failed with these words, and return the kinds of its events."""
    assert outcome.status == "failed"
    assert all(word in str(outcome.error) for word in words), outcome.error
    run = await scene.host.agents.runs.get(scene.principal, outcome.run.id)
    events = await scene.events(outcome.run.id)
    assert (run.status, run.error) == ("failed", outcome.error)
    assert (events[-1].kind, events[-1].data["status"]) == ("finished", "failed")
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.kind for event in events]


async def after_a_step(folder: Path, store: Path, name: str, vendor: ModelProvider) -> list[str]:
    """Run an agent whose provider answers once, as it is told, and return what was kept."""
    configure(folder, vendor.url)
    async with open_agents(store, folder) as scene:
        scene.agent("worker", model=name)
        outcome = await scene.ask("worker")
        kinds = await ended(scene, outcome, NAMES[name])
        events = await scene.events(outcome.run.id)
        said = next(event for event in events if event.kind == "reply")
        assert "I look first." in json.dumps(said.data)
        assert any(event.kind == "result" and "read:" in event.data["text"] for event in events)
        error = next(event for event in events if event.kind == "error")
        return [*kinds, error.data.get("said", ""), error.data["fault"]]


@pytest.mark.parametrize("name", NAMES)
async def test_stream_that_is_cut_fails_the_run_and_the_steps_before_are_kept(
    store_folder: Path, tmp_path: Path, name: str
) -> None:
    with model_provider() as vendor:
        vendor.will(LOOK, Answer(text="one two three four", cut=True))
        *kinds, said, fault = await after_a_step(tmp_path, store_folder, name, vendor)
    assert fault == "cut"
    assert said.startswith("one two")
    assert kinds[-3:] == ["request", "error", "finished"]


async def test_reply_that_is_withheld_fails_the_run_and_half_of_one_says_that_it_is(
    store_folder: Path, tmp_path: Path
) -> None:
    with model_provider() as vendor:
        vendor.will(LOOK, Answer(text="I can", finish="refusal"))
        *kinds, said, fault = await after_a_step(tmp_path, store_folder, "anthropic", vendor)
        assert (fault, said) == ("filtered", "I can")
        assert kinds[-3:] == ["request", "error", "finished"]
        vendor.will(Answer(text="Once upon a", finish="max_tokens"))
        async with open_agents(store_folder, tmp_path) as scene:
            scene.agent("teller", model="anthropic")
            outcome = await scene.ask("teller")
            assert (outcome.status, outcome.text) == ("succeeded", "Once upon a")
            [note] = outcome.notes
            assert "stopped at its longest reply (max_tokens): the answer is cut off" in note
            assert "note" in await scene.kinds(outcome.run.id)


@pytest.mark.parametrize("name", NAMES)
async def test_key_that_is_wrong_fails_the_run_at_once(
    store_folder: Path, tmp_path: Path, name: str
) -> None:
    with model_provider() as vendor:
        vendor.will(LOOK, Answer(status=401, error="bad key", kind="authentication_error"))
        *_, fault = await after_a_step(tmp_path, store_folder, name, vendor)
        assert (fault, len(vendor.asked)) == ("auth", 2)


@pytest.mark.parametrize("name", NAMES)
async def test_provider_that_stays_broken_fails_the_run_after_its_retries(
    store_folder: Path, tmp_path: Path, name: str
) -> None:
    with model_provider() as vendor:
        vendor.will(LOOK, Answer(status=503, error="down", kind="unavailable"))
        *_, fault = await after_a_step(tmp_path, store_folder, name, vendor)
        assert (fault, len(vendor.asked)) == ("overloaded", 3)


async def test_provider_that_is_not_there_fails_the_run_with_what_to_do(
    store_folder: Path, tmp_path: Path
) -> None:
    configure(tmp_path, "http://127.0.0.1:9")
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("worker", model="ollama")
        outcome = await scene.ask("worker")
        kinds = await ended(scene, outcome, "ollama:qwen3 cannot be reached", "Is it running")
    assert kinds == ["started", "request", "error", "finished"]


async def test_key_that_is_missing_is_named_with_the_command_that_sets_it(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("worker", model="mistral:mistral-small-latest")
        outcome = await scene.ask("worker")
        await ended(scene, outcome, "no key for mistral", "host keys set mistral")


async def test_budget_that_is_used_up_ends_the_run_and_keeps_what_was_done(
    store_folder: Path, tmp_path: Path
) -> None:
    prices = {"scripted:worker": {"input": 0, "output": 600}}
    configure(tmp_path, prices=prices, budgets={"run": 1})
    async with open_agents(store_folder, tmp_path) as scene:
        turn = {**call("notes__read", title="a"), "usage": {"input": 1, "output": 1000}}
        scene.agent("worker", [turn, {"reply": "never"}])
        outcome = await scene.ask("worker")
        kinds = await ended(scene, outcome, "The request may cost $0.60", "raise budgets.run")
    assert kinds[:5] == ["started", "request", "reply", "call", "result"]


async def test_conversation_that_does_not_fit_is_summed_up_once_and_then_fails(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        sums = {"when": {"prompt": "Sum up the conversation"}, "reply": "ALL SO FAR"}
        turns = [sums, call("notes__read", title="a"), {"error": {"fault": "context"}}]
        scene.agent("worker", turns)
        outcome = await scene.ask("worker")
        kinds = await ended(scene, outcome, "more than fits its context")
    assert kinds.count("error") == 2
    assert "compacted" in kinds
    assert "result" in kinds


@pytest.mark.parametrize("name", NAMES)
async def test_schema_that_is_never_met_fails_after_the_repairs_and_keeps_each_try(
    store_folder: Path, tmp_path: Path, name: str
) -> None:
    with model_provider() as vendor:
        vendor.will(Answer(text='{"sum": "many"}'))
        configure(tmp_path, vendor.url)
        async with open_agents(store_folder, tmp_path) as scene:
            scene.agent("worker", model=name, output=SCHEMA, limits={"repairs": 2})
            outcome = await scene.ask("worker")
            kinds = await ended(scene, outcome, "worker")
    assert (kinds.count("reply"), kinds.count("rejected"), len(vendor.asked)) == (3, 2, 3)


async def test_tool_that_hangs_is_given_up_and_the_run_goes_on(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        turns = [call("notes__wait"), {"reply": "It said: ${result}"}]
        scene.agent("worker", turns, limits={"tool_seconds": 0.05})
        outcome = await scene.ask("worker")
        assert outcome.status == "succeeded"
        assert "notes__wait did not answer within 0.05 s and was given up" in outcome.text
        assert "result" in await scene.kinds(outcome.run.id)


@pytest.mark.parametrize("name", NAMES)
async def test_agent_without_instructions_sends_no_empty_ones(
    store_folder: Path, tmp_path: Path, name: str
) -> None:
    with model_provider() as vendor:
        configure(tmp_path, vendor.url)
        async with open_agents(store_folder, tmp_path) as scene:
            scene.agent("worker", model=name, tools=[])
            outcome = await scene.ask("worker", "Hello there")
    assert outcome.status == "succeeded"
    body = json.dumps(vendor.asked[-1].body)
    assert "Hello there" in body
    assert '""' not in body
