"""The model of an agent that names none."""

from pathlib import Path

import pytest
import yaml

from tests.agents.scene import Scene, open_agents
from tests.fakes.model_provider import model_provider
from tests.fakes.model_wire import Answer

pytestmark = pytest.mark.anyio


def say(scene: Scene, **models: object) -> None:
    folder = scene.folder / "config"
    folder.mkdir(exist_ok=True)
    (folder / "models.yaml").write_text(yaml.safe_dump(models))


async def test_default_is_what_the_configuration_names(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("plain", [{"reply": "hi"}], model="default")
        say(scene, default="scripted:plain")
        outcome = await scene.ask("plain")
    assert outcome.text == "hi"


async def test_without_any_key_ollama_is_asked_if_it_answers(
    store_folder: Path, tmp_path: Path
) -> None:
    with model_provider() as vendor:
        vendor.local = ["qwen3"]
        vendor.will(Answer(text="From Ollama."))
        async with open_agents(store_folder, tmp_path) as scene:
            scene.agent("plain", model="default")
            say(scene, providers={"ollama": {"base_url": f"{vendor.url}/v1"}})
            outcome = await scene.ask("plain")
    assert (outcome.error, outcome.text) == (None, "From Ollama.")
    assert [asked.body["model"] for asked in vendor.asked] == ["qwen3"]


async def test_with_neither_the_run_says_which_commands_get_going(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("plain", model="default")
        say(scene, providers={"ollama": {"base_url": "http://127.0.0.1:9/v1"}})
        outcome = await scene.ask("plain")
    assert outcome.status == "failed"
    assert "`host keys set anthropic`" in str(outcome.error)
