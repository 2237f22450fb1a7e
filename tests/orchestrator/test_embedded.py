"""The host as a Python library, in the few lines that a program needs."""

import json
from pathlib import Path

import anyio
import pytest

from host import Host
from host.config.paths import Paths
from host.domain.errors import ConfigError, HostError, NotFoundError


def prepare(tmp_path: Path, store: Path) -> tuple[Path, Paths]:
    """Write a configuration and a scripted agent."""
    paths = Paths(tmp_path / "config", store, tmp_path / "run")
    scripts = paths.config / "models" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "baker.yaml").write_text("turns: [{reply: 'Knead: ${prompt}'}]\nloop: true\n")
    (tmp_path / "baker.yaml").write_text(
        "model: scripted:baker\ndescription: Knows all about bread.\n"
    )
    file = tmp_path / "host.yaml"
    file.write_text(json.dumps({"servers": {}}))
    return file, paths


def test_program_talks_with_an_agent_that_it_adds(store_folder: Path, tmp_path: Path) -> None:
    async def main() -> None:
        file, paths = prepare(tmp_path, store_folder)
        async with Host.from_config(file, paths=paths) as host:
            host.add_agent("baker", tmp_path / "baker.yaml")
            heard: list[str] = []
            reply = await host.chat("rye", agent_name="baker", on_text=heard.append)
            assert (reply.agent, reply.text) == ("baker", "Knead: rye")
            assert "".join(heard) == reply.text

    anyio.run(main)


def test_host_picks_the_agent_and_says_which_and_why(store_folder: Path, tmp_path: Path) -> None:
    file, paths = prepare(tmp_path, store_folder)
    with Host.from_config(file, paths=paths) as host:
        host.add_agent("baker", tmp_path / "baker.yaml")
        reply = host.chat_sync("How is bread made?")
        assert (reply.agent, reply.chosen) == ("baker", "baker speaks of bread.")
        again = host.chat_sync("And rolls?", agent_name="baker", thread=reply.run.thread)
        assert again.run.thread == reply.run.thread


def test_unknown_agent_and_wrong_file_are_errors_of_the_host(
    store_folder: Path, tmp_path: Path
) -> None:
    file, paths = prepare(tmp_path, store_folder)
    (tmp_path / "wrong.yaml").write_text("modle: x\n")
    with Host.from_config(file, paths=paths) as host:
        with pytest.raises(NotFoundError):
            host.chat_sync("Hello", agent_name="nobody")
        with pytest.raises(ConfigError, match="Did you mean 'model'"):
            host.add_agent("wrong", tmp_path / "wrong.yaml")


def test_host_that_is_not_open_says_so(tmp_path: Path, store_folder: Path) -> None:
    file, paths = prepare(tmp_path, store_folder)
    host = Host.from_config(file, paths=paths)
    with pytest.raises(HostError, match="not open"):
        host.chat_sync("Hello")
