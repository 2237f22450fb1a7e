"""Messages in other words: which model and prompt rewrite them, and that a remark reaches it."""

from pathlib import Path
from typing import Any

import pytest

from host.agents.reformulate import Reformulator
from host.config.reformulate import ReformulateConfig
from host.domain.errors import ConfigError, ModelError
from tests.agents.scene import Scene, open_agents

pytestmark = pytest.mark.anyio


def reformulator(scene: Scene, **config: Any) -> Reformulator:
    said = ReformulateConfig.model_validate({"model": "scripted:small", **config})
    agents = scene.host.agents
    return Reformulator(
        lambda: said, agents.models, prompts=agents.prompts, folder=scene.folder / "config"
    )


async def test_message_is_rewritten_and_again_after_a_remark(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        later = {"when": {"prompt": "shorter"}, "reply": "List files."}
        scene.script("small", [later, {"reply": "List the files.\n"}], loop=True)
        found = reformulator(scene)
        first = await found.rewrite(scene.principal, "whats here")
        again = await found.rewrite(
            scene.principal, "whats here", earlier=first, remark="shorter please"
        )
    assert (first, again) == ("List the files.", "List files.")


async def test_prompt_comes_from_the_configuration_or_a_file_or_the_library(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        (scene.folder / "config").mkdir(exist_ok=True)
        (scene.folder / "config" / "own.md").write_text("FROM A FILE")
        said = [
            reformulator(scene, **config).instructions()
            for config in ({"prompt": "BE KIND"}, {"prompt_file": "own.md"}, {})
        ]
    assert said[:2] == ["BE KIND", "FROM A FILE"]
    assert "Invent nothing" in said[2]


async def test_silent_model_and_missing_file_are_errors(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.script("small", [{"reply": ""}], loop=True)
        with pytest.raises(ModelError, match="said nothing"):
            await reformulator(scene).rewrite(scene.principal, "hello")
        with pytest.raises(ConfigError, match="does not exist"):
            await reformulator(scene, prompt_file="gone.md").rewrite(scene.principal, "hello")
