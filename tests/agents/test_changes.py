"""What is changed while the host runs, keys, `models.yaml`, agents, counts from the next run on."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from host.agents import agents
from host.domain.jsonrpc import Json
from host.gateway.exchange import QuietSession
from host.gateway.notices import Listener
from tests.agents.scene import Scene, open_agents
from tests.agents.test_loop import call
from tests.fakes.model_provider import ModelProvider, model_provider
from tests.fakes.model_wire import Answer

pytestmark = pytest.mark.anyio

OLD, NEW = "an-old-key-0123456789", "a-new-key-9876543210"


def write(folder: Path, vendor: ModelProvider, *, key: str = OLD, **config: Any) -> None:
    """Write `models.yaml` with one provider of the user's own, and its key."""
    home = folder / "config"
    home.mkdir(exist_ok=True)
    body = {"providers": {"work": {"base_url": f"{vendor.url}/v1"}}, **config}
    (home / "models.yaml").write_text(json.dumps(body))
    (home / ".env").write_text(f"WORK_API_KEY={key}\n")


def refusing(key: str) -> Answer:
    """Return a refusal that repeats a key."""
    return Answer(status=401, error=f"Incorrect API key provided: {key}", kind="invalid_api_key")


async def recorded(scene: Scene, run: str) -> str:
    return json.dumps([event.data for event in await scene.events(run)])


async def test_changed_key_is_used_by_the_next_run_and_no_key_is_ever_recorded(
    store_folder: Path, tmp_path: Path
) -> None:
    with model_provider() as vendor:
        write(tmp_path, vendor)
        async with open_agents(store_folder, tmp_path) as scene:
            scene.agent("worker", model="work:m")
            vendor.will(refusing(OLD))
            first = await scene.ask("worker")
            write(tmp_path, vendor, key=NEW)
            vendor.will(Answer())
            second = await scene.ask("worker")
            sent = vendor.asked[-1].headers["authorization"]
            vendor.will(refusing(OLD))  # a key of earlier is one that nobody may see as well
            third = await scene.ask("worker")
            kept = [await recorded(scene, each.run.id) for each in (first, second, third)]
    assert (first.status, second.status, sent) == ("failed", "succeeded", f"Bearer {NEW}")
    assert "refused the key" in str(third.error)
    assert not any(key in text for key in (OLD, NEW) for text in kept)
    assert OLD not in str(first.error)


async def test_removed_key_is_not_used_any_more(store_folder: Path, tmp_path: Path) -> None:
    with model_provider() as vendor:
        work = {"work": {"base_url": f"{vendor.url}/v1", "key_required": True}}
        write(tmp_path, vendor, providers=work)
        async with open_agents(store_folder, tmp_path) as scene:
            scene.agent("worker", model="work:m")
            before = await scene.ask("worker")
            (tmp_path / "config" / ".env").unlink()
            after = await scene.ask("worker")
    assert before.status == "succeeded"
    assert "There is no key for work:m." in str(after.error)


async def test_model_that_is_added_is_there_for_the_next_run(
    store_folder: Path, tmp_path: Path
) -> None:
    with model_provider() as vendor:
        write(tmp_path, vendor)
        async with open_agents(store_folder, tmp_path) as scene:
            scene.agent("worker", model="quick")
            before = await scene.ask("worker")
            write(tmp_path, vendor, models={"quick": {"model": "work:m"}})
            after = await scene.ask("worker")
            (tmp_path / "config" / "models.yaml").write_text("models: [no]\n")
            broken = await scene.ask("worker")
            (tmp_path / "config" / "models.yaml").unlink()
            gone = await scene.ask("worker")
    assert [each.status for each in (before, after, broken, gone)] == [
        "failed",
        "succeeded",
        "failed",
        "failed",
    ]
    assert "models.yaml" in str(broken.error)


async def test_raised_budget_holds_at_once_and_what_was_spent_counts(
    store_folder: Path, tmp_path: Path
) -> None:
    priced = {"work:m": {"input": 1000, "output": 1000}}  # 18 tokens a reply: $0.018
    with model_provider() as vendor:
        write(tmp_path, vendor, prices=priced, budgets={"user": 1.03})
        async with open_agents(store_folder, tmp_path) as scene:
            scene.agent("worker", model="work:m")
            outcomes = [await scene.ask("worker") for _ in range(3)]
            write(tmp_path, vendor, prices=priced, budgets={"user": 10})
            outcomes.append(await scene.ask("worker"))
    assert [outcome.status for outcome in outcomes] == [
        "succeeded",
        "succeeded",
        "failed",
        "succeeded",
    ]
    assert "budget" in str(outcomes[2].error)


async def test_edited_script_is_in_force_with_the_next_run(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("actor", [{"reply": "one"}])
        first = await scene.ask("actor")
        scene.script("actor", [{"reply": "another"}])
        second = await scene.ask("actor")
    assert (first.text, second.text) == ("one", "another")


async def test_agents_file_behind_a_link_is_seen_whenever_it_comes_and_goes(
    store_folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("one", [{"reply": "x"}])
        agents = tmp_path / "config" / "agents"
        (agents / "two.yaml").symlink_to(elsewhere)
        os.utime(agents, (1_600_000_000, 1_600_000_000))  # it did not change a moment ago
        library = scene.runner.library
        seen = ["two" in library.agents() for _ in range(2)]
        for there in (True, False, True):
            if there:
                elsewhere.write_text((agents / "one.yaml").read_text())
            else:
                elsewhere.unlink()
            seen.append("two" in library.agents())
    assert seen == [False, False, True, False, True]


async def test_agent_that_was_written_just_now_is_a_tool_of_the_next_run_and_clients_hear_of_it(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        outer: list[Any] = [call("agent__inner", message="Hi"), {"reply": "It: ${result}"}]
        scene.agent("outer", outer, tools=[], agents=["inner"])
        heard: list[str] = []
        session = QuietSession(scene.principal, "cli")
        listener = Listener(session, lambda method, params: heard.append(method))
        scene.host.gateway.notices.add(listener)
        texts: list[str] = []
        texts.append((await scene.ask("outer")).text)
        scene.agent("inner", [{"reply": "the inner one's words"}], tools=[])
        texts.append((await scene.ask("outer")).text)
        (tmp_path / "config" / "agents" / "inner.yaml").unlink()
        texts.append((await scene.ask("outer")).text)
    assert "There is no tool 'agent__inner'" in texts[0]
    assert texts[1] == "It: the inner one's words"
    assert "There is no tool 'agent__inner'" in texts[2]
    assert heard == ["notifications/tools/list_changed"] * 2


async def test_clients_hear_of_an_agent_that_was_written_though_nobody_runs_one(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "LOOK_AGAIN", 0.01)
    async with open_agents(store_folder, tmp_path) as scene:
        told = asyncio.Event()
        session = QuietSession(scene.principal, "cli")

        def hear(method: str, params: Json | None) -> None:
            if method == "notifications/tools/list_changed":
                told.set()

        scene.host.gateway.notices.add(Listener(session, hear))
        await scene.host.gateway.catalog.offer(scene.exchange(session), "tools/list")
        watch = asyncio.create_task(scene.host.agents.watch())
        scene.agent("fresh", [{"reply": "x"}])
        await told.wait()
        offer = await scene.host.gateway.catalog.offer(scene.exchange(session), "tools/list")
        watch.cancel()
    assert "agent__fresh" in [entry.name for entry in offer.entries]
