"""What an agent's own file brings along: tool servers with credentials, and a policy."""

import sys
from pathlib import Path
from typing import Any

import pytest

from host.agents.config import AgentConfig
from host.agents.library import Agent
from host.config.servers import ServerConfig
from host.domain.errors import ConfigError, MissingCredentialError
from host.domain.jsonrpc import Json
from host.gateway import patience
from host.secrets.keys import Keys
from tests.agents.scene import Scene, open_agents

pytestmark = pytest.mark.anyio

SERVER = """
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    params = message.get("params") or {}
    if message["method"] == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "side", "version": "1"}}
    elif message["method"] == "tools/list":
        tool = {"name": "tell", "inputSchema": {"type": "object"},
                "annotations": {"readOnlyHint": True}}
        result = {"tools": [tool]}
    else:
        text = "token " + os.environ.get("TOKEN", "none") + " pid " + str(os.getpid())
        result = {"content": [{"type": "text", "text": text}]}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""
TELL: list[Json] = [{"calls": [{"tool": "side__tell", "arguments": {}}]}, {"reply": "${result}"}]
CREDENTIAL = "correct-horse-battery"


def side(**more: Any) -> Json:
    # Tests share a data folder, and what another one pinned under this name is no concern here.
    entry = {"command": sys.executable, "args": ["-S", "-E", "-c", SERVER], "trust": "follow"}
    return {**entry, **more}


def keys_of(scene: Scene) -> Keys:
    return Keys.of_user(scene.host.paths, {})


async def test_agent_calls_its_own_server_with_its_credential_which_no_record_shows(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        keys_of(scene).save("side_token", CREDENTIAL)
        scene.agent(
            "scout",
            TELL,
            tools=[],
            servers={"side": side(env={"TOKEN": "${SIDE_TOKEN}"})},
            credentials={"SIDE_TOKEN": "the password of the side server"},
        )
        outcome = await scene.ask("scout")
        keys_of(scene).remove("side_token")
        events = await scene.events(outcome.run.id)
    assert outcome.text.startswith(f"token {CREDENTIAL}")
    result = next(event for event in events if event.kind == "result")
    assert result.data["text"].startswith("token [redacted]")


async def test_first_run_waits_for_the_agents_own_server(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However little a list for clients waits: what the agent's file brings along is there.
    for name in ("FIRST_WAIT", "REMOTE_WAIT", "KNOWN_WAIT", "STRAGGLER_WAIT"):
        monkeypatch.setattr(patience, name, 0.0)
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("scout", TELL, tools=[], servers={"slow": side(), "side": side()})
        outcome = await scene.ask("scout")
    assert outcome.text.startswith("token none"), outcome


async def test_run_whose_own_server_does_not_start_fails_and_names_it(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        broken: Json = {"command": sys.executable, "args": ["-c", "raise SystemExit('no licence')"]}
        scene.agent("scout", TELL, tools=[], servers={"broken": {**broken, "trust": "follow"}})
        outcome = await scene.ask("scout")
        kinds = await scene.kinds(outcome.run.id)
    assert outcome.status == "failed"
    assert "needs its server 'broken'" in str(outcome.error)
    assert "no licence" in str(outcome.error)
    assert "request" not in kinds


async def test_run_goes_on_without_a_server_of_the_hosts_that_does_not_start_and_says_so(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        dead = ServerConfig.model_validate({"command": "no-such-program-here"})
        host = scene.host
        host.servers["dead"] = host._make_server("dead", dead)
        scene.agent("reader", [{"reply": "Hello."}], tools=["notes", "dead__read_*"])
        outcome = await scene.ask("reader")
        notes = [
            one.data["text"] for one in await scene.events(outcome.run.id) if one.kind == "note"
        ]
    assert outcome.status == "succeeded"
    assert notes == list(outcome.notes)
    assert notes[0].startswith("The tools of dead are not there. ")


async def test_nobody_else_sees_an_agents_own_server(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("scout", TELL, tools=[], servers={"side": side()})
        scene.agent("other", TELL, tools=["*", "side__tell"])
        assert (await scene.ask("scout")).text.startswith("token none")
        blind = await scene.ask("other")
        events = await scene.events(blind.run.id)
        listed = await scene.host.gateway.handle(scene.exchange(), "tools/list", {})
    [rejected] = [event for event in events if event.kind == "rejected"]
    assert rejected.data["text"].startswith("There is no tool 'side__tell'")
    assert not [tool for tool in listed["tools"] if tool["name"].startswith("side__")]


async def test_server_is_started_once_and_anew_when_its_entry_was_edited(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("scout", TELL, tools=[], servers={"side": side()})
        first, second = (await scene.ask("scout")).text, (await scene.ask("scout")).text
        scene.agent("scout", None, tools=[], servers={"side": side(env={"TOKEN": "new"})})
        third = (await scene.ask("scout")).text
    assert first == second
    assert third.startswith("token new")


async def test_missing_credential_is_named_and_counts_once_it_is_set(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("scout", TELL, credentials={"LATE_TOKEN": "the side server's password"})
        library = scene.host.agents.library
        with pytest.raises(MissingCredentialError) as caught:
            library.get("scout")
        assert "host keys set late_token" in str(caught.value)
        assert "the side server's password" in str(caught.value)
        assert "scout.yaml" in str(caught.value)
        keys_of(scene).save("late_token", CREDENTIAL)
        found = library.get("scout")
        keys_of(scene).remove("late_token")
    assert isinstance(found, Agent)


async def test_server_that_the_host_has_too_is_refused(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("scout", TELL, servers={"notes": side()})
        outcome = await scene.ask("scout")
    assert outcome.status == "failed"
    assert "a server 'notes' of its own, and so has the host" in str(outcome.error)


ADD: list[Json] = [
    {"calls": [{"tool": "notes__add", "arguments": {"text": "x"}}]},
    {"reply": "${result}"},
]
NO_ADDING = "rules: [{name: no-adding, action: deny, match: {name: notes__add}}]\nversion: 1\n"


def own_policy(scene: Scene, text: str) -> None:
    folder = scene.folder / "config" / "agents"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tight.policy").write_text(text)


async def test_agents_policy_tightens_its_calls_and_nobody_elses(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        own_policy(scene, NO_ADDING)
        scene.agent("careful", ADD, policy="tight.policy")
        scene.agent("free", ADD)
        refused, made = await scene.ask("careful"), await scene.ask("free")
        assert "notes__add was not called" in refused.text
        assert made.text.startswith("add: ")
        assert [name for name, _ in scene.notes.calls] == ["add"]


async def test_policy_holds_for_the_agents_that_an_agent_calls(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        own_policy(scene, NO_ADDING)
        scene.agent("inner", ADD)
        calls = [{"tool": "agent__inner", "arguments": {"message": "Hi"}}]
        scene.agent(
            "outer", [{"calls": calls}, {"reply": "ok"}], agents=["inner"], policy="tight.policy"
        )
        await scene.ask("outer")
        assert scene.notes.calls == []


async def test_edited_policy_counts_at_once_and_a_broken_one_stops_everything(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        own_policy(scene, "version: 1\nrules: []\n")
        scene.agent("careful", ADD, policy="tight.policy")
        assert (await scene.ask("careful")).text.startswith("add: ")
        own_policy(scene, NO_ADDING)
        assert "was not called" in (await scene.ask("careful")).text
        own_policy(scene, "version: 1\nrules: [{name: x}]\n")
        with pytest.raises(ConfigError, match=r"tight\.policy"):
            await scene.ask("careful")
        assert len(scene.notes.calls) == 1


async def test_policy_that_would_allow_something_is_refused(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        own_policy(scene, NO_ADDING.replace("deny", "allow"))
        scene.agent("careful", ADD, policy="tight.policy")
        with pytest.raises(ConfigError, match="can only tighten"):
            scene.host.agents.library.get("careful")


def test_shown_agent_hides_its_servers_secrets() -> None:
    config = AgentConfig.model_validate(
        {"servers": {"side": {"command": "x", "env": {"TOKEN": CREDENTIAL}}}}
    )
    assert CREDENTIAL not in config.model_dump_json()


@pytest.mark.parametrize("name", ["My Agent", "UPPER", "a" * 33, "-dash"])
async def test_file_whose_name_cannot_be_a_tools_is_refused(
    store_folder: Path, tmp_path: Path, name: str
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent(name, None, model="scripted:demo")
        errors = scene.host.agents.library.errors()
    assert f"cannot be called {name!r}" in str(errors[name])
