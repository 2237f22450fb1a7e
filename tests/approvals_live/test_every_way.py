"""Approvals with real daemons, clients, terminals and crashes: each call runs once or never."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio
import httpx
import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters

from host.approvals.elicitation import DENY, ONCE
from tests.approvals_live.terminal import Terminal
from tests.fakes.gateway_scene import stdio
from tests.fakes.misbehaviour import Json
from tests.faults.daemon import PATIENCE, Bridge, Yard, is_alive, open_yard, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


@contextlib.contextmanager
def yard_of(**approvals: Any) -> Generator[Yard]:
    """Open a yard whose every tool is asked about."""
    with open_yard({}) as yard:
        settings = {
            "servers": {"bad": stdio()},
            "approvals": {"wait": 0, **approvals},
        }
        # Where a daemon finds it, too, that a command of the command line starts.
        home = yard.folder / "home" / ".config" / "mcp-agent-host"
        home.mkdir(parents=True)
        for file in (yard.config, home / "host.yaml"):
            file.write_text(json.dumps(settings))
        yield yard


@contextlib.contextmanager
def terminal(yard: Yard, *words: str, **env: str) -> Generator[Terminal]:
    found = Terminal(*words, env={**yard.env, "TERM": "dumb", **env}, folder=yard.folder)
    try:
        yield found
    finally:
        found.close()


@contextlib.contextmanager
def watching(yard: Yard, **env: str) -> Generator[tuple[Bridge, Terminal]]:
    """Connect a client, which starts the daemon, and watch in a terminal."""
    bridge = yard.bridge()
    with terminal(yard, "approvals", "watch", **env) as screen:
        screen.expect("Waiting for calls")
        yield bridge, screen


def say_yes(screen: Terminal) -> None:
    screen.expect(r"Approve\? \[y/N\] ")
    screen.type("y\n")


def approve(yard: Yard, approval: Json) -> None:
    with terminal(yard, "approvals", "approve", approval["id"]) as screen:
        say_yes(screen)
        screen.expect("is approved")


def text(answer: Json) -> str:
    return answer["result"]["content"][0]["text"]


def waiting(yard: Yard, count: int = 1) -> list[Json]:
    """Return what waits, once so much does."""
    found: list[Json] = []

    def enough() -> bool:
        found[:] = [one for one in yard.host("approvals", "list") if one["state"] == "pending"]
        return len(found) >= count

    wait_until(enough)
    return found


def made(yard: Yard, tool: str) -> list[Json]:
    """Return the records of calls that were really made."""
    done = subprocess.run(
        [sys.executable, "-m", "host", "audit", "export", "--tool", tool],
        env=yard.env,
        cwd=yard.folder,
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    calls: list[Json] = [json.loads(line) for line in done.stdout.splitlines()]
    return [call for call in calls if call["outcome"] not in ("pending", "denied")]


def state(yard: Yard, approval: str) -> Json:
    return yard.host("approvals", "show", approval)


@pytest.mark.anyio
@pytest.mark.parametrize(("mode", "stateless"), [("legacy", False), ("auto", True)])
@pytest.mark.parametrize("choice", [ONCE, DENY])
async def test_person_at_an_sdk_client_is_asked_by_elicitation(
    mode: Any, choice: str, *, stateless: bool
):
    asked: list[types.ElicitRequestParams] = []

    async def elicit(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params)
        return types.ElicitResult(
            action="accept", content={"answer": choice, "reason": "as it should be"}
        )

    with yard_of(wait=50) as yard:
        created = await anyio.to_thread.run_sync(
            lambda: yard.host("tokens", "create", "ide", "--attended")
        )
        command = ["-m", "host", "serve", "--stdio", "--config", str(yard.config)]
        env = {**yard.env, "HOST_TOKEN": created["token"]}
        server = StdioServerParameters(command=sys.executable, args=command, env=env)
        async with Client(
            server,
            mode=mode,
            cache=None,
            elicitation_callback=elicit,
            read_timeout_seconds=PATIENCE,
        ) as client:
            assert (client.session.initialize_result is None) is stateless
            result = await client.call_tool("bad__echo", {"text": "hello"})
        assert len(asked) == 1
        assert '"text": "hello"' in asked[0].message
        if choice == ONCE:
            assert result.structured_content == {"text": "hello"}
        else:
            assert result.is_error is True
            assert "as it should be" in str(result.content)
        assert len(made(yard, "bad__echo")) == (choice == ONCE)


@pytest.mark.anyio
@pytest.mark.parametrize(("mode", "stateless"), [("legacy", False), ("auto", True)])
@pytest.mark.parametrize("choice", ["once", "deny"])
async def test_person_at_an_sdk_client_answers_on_a_page(
    mode: Any, choice: str, *, stateless: bool
):
    pages: list[str] = []

    async def elicit(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestURLParams)
        async with httpx.AsyncClient() as browser:
            page = await browser.get(params.url)
            pages.append(page.text)
            token = re.search('name="token" value="([^"]+)"', page.text)
            assert token is not None
            form = {"token": token[1], "answer": choice, "reason": "as it should be"}
            done = await browser.post(params.url, data=form)
            assert done.status_code == 200
        return types.ElicitResult(action="accept")

    with yard_of(wait=50, page="always") as yard:
        created = await anyio.to_thread.run_sync(
            lambda: yard.host("tokens", "create", "ide", "--attended")
        )
        command = ["-m", "host", "serve", "--stdio", "--config", str(yard.config)]
        env = {**yard.env, "HOST_TOKEN": created["token"]}
        server = StdioServerParameters(command=sys.executable, args=command, env=env)
        async with Client(
            server,
            mode=mode,
            cache=None,
            elicitation_callback=elicit,
            read_timeout_seconds=PATIENCE,
        ) as client:
            assert (client.session.initialize_result is None) is stateless
            result = await client.call_tool("bad__echo", {"text": "<b>gnp\u202etxt.exe"})
        [page] = pages
        assert "&lt;b&gt;gnp\\u202etxt.exe" in page
        if choice == "once":
            assert result.structured_content == {"text": "<b>gnp\u202etxt.exe"}
        else:
            assert "as it should be" in str(result.content)
        assert len(made(yard, "bad__echo")) == (choice == "once")
        [approval] = yard.host("approvals", "list", "--all")
        assert (approval["channel"], approval["approver"]) == ("web", "local/ide")


def test_watching_terminal_rings_and_approves_with_a_key():
    with yard_of(wait=50) as yard, watching(yard) as (bridge, screen):
        call = bridge.send(
            "tools/call", {"name": "bad__echo", "arguments": {"text": "gnp\u202etxt.exe"}}
        )
        screen.expect("\a")
        screen.expect("local/stdio wants to call bad__echo")
        screen.expect(r'"text": "gnp\\u202etxt.exe"')
        screen.expect(r"\[q\]uit")
        screen.type("a")
        screen.expect("is consumed|is approved")
        assert bridge.wait(call)["result"]["structuredContent"] == {"text": "gnp\u202etxt.exe"}
        screen.type("q")
        assert screen.wait() == 0
        [intent] = made(yard, "bad__echo")
        found = state(yard, intent["approval"])
        assert (found["approver"], found["channel"], found["outcome"]) == (
            "local/terminal",
            "terminal",
            "ok",
        )


def test_watching_terminal_denies_with_a_reason_and_edits_before_it_approves(tmp_path: Path):
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "file.write_text(file.read_text().replace('rude', 'kind'))\n"
    )
    command = shlex.join([sys.executable, str(editor)])
    with yard_of(wait=50) as yard, watching(yard, EDITOR=command) as (bridge, screen):
        call = bridge.send("tools/call", {"name": "bad__echo", "arguments": {"text": "rude"}})
        screen.expect(r"\[q\]uit")
        screen.type("d")
        screen.expect("reason: ")
        screen.type("mind your words\n")
        assert "mind your words" in text(bridge.wait(call))
        call = bridge.send("tools/call", {"name": "bad__echo", "arguments": {"text": "rude"}})
        screen.expect(r"\[q\]uit")
        screen.type("e")
        screen.expect(r'-  "text": "rude"')
        screen.expect(r'\+  "text": "kind"')
        screen.expect("send these")
        screen.type("y\n")
        assert bridge.wait(call)["result"]["structuredContent"] == {"text": "kind"}
        assert len(made(yard, "bad__echo")) == 1


def test_another_processs_command_line_answers_and_the_call_made_again_runs_once():
    with yard_of() as yard:
        bridge = yard.bridge()
        pending = text(bridge.call("bad__echo", {"text": "hello"}))
        [approval] = waiting(yard)
        assert f"host approvals approve {approval['id']}" in pending
        with terminal(yard, "approvals", "approve", approval["id"]) as screen:
            screen.expect("local/stdio wants to call bad__echo")
            screen.expect('"text": "hello"')
            say_yes(screen)
            screen.expect(f"{approval['id']} is approved")
            assert screen.wait() == 0
        answer = bridge.call("bad__echo", {"text": "hello"})
        assert answer["result"]["structuredContent"] == {"text": "hello"}
        assert "waits for an approval" in text(bridge.call("bad__echo", {"text": "hello"}))
        assert len(made(yard, "bad__echo")) == 1


def test_a_call_at_the_command_line_says_at_once_what_it_waits_for_and_how_to_answer():
    with yard_of(wait=PATIENCE) as yard:
        yard.bridge()
        with terminal(yard, "call", "bad__echo", '{"text": "hello"}') as caller:
            said = caller.expect(r"host: Waiting for the approval a-\w+ of bad__echo\. Answer it")
            approval = said.split()[5]
            caller.expect(f"host approvals approve {approval}")
            with terminal(yard, "approvals", "approve", approval) as screen:
                say_yes(screen)
                screen.expect(f"{approval} is approved")
            caller.expect(r"\.\s+echo\s")
            assert caller.wait() == 0


def test_approving_without_a_terminal_is_refused():
    with yard_of() as yard:
        yard.bridge().call("bad__echo")
        [approval] = waiting(yard)
        for words in (["approve", approval["id"]], ["watch"]):
            done = subprocess.run(
                [sys.executable, "-m", "host", "approvals", *words],
                env=yard.env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                start_new_session=True,
                check=False,
                timeout=PATIENCE,
            )
            assert done.returncode == 1
            assert "terminal" in done.stderr
        assert state(yard, approval["id"])["state"] == "pending"


def ask_at_the_socket(yard: Yard, method: str, params: Json) -> Json:
    """Send a command as any program of the user could, past the command line, with no terminal."""
    program = (
        "import json, sys; from host.cli.control import ask_daemon; "
        "from host.domain.errors import HostError\n"
        "try: print(json.dumps({'result': ask_daemon(sys.argv[1], json.loads(sys.argv[2]))}))\n"
        "except HostError as error: print(json.dumps({'error': str(error)}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, method, json.dumps(params)],
        env=yard.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=True,
        timeout=PATIENCE,
    )
    return json.loads(done.stdout)


def test_the_daemon_takes_no_answer_of_a_program_without_a_terminal_whatever_it_says():
    with yard_of() as yard:
        yard.bridge().call("bad__echo")
        [approval] = waiting(yard)
        answer = {"id": approval["id"], "digest": approval["digest"], "approve": True}
        commands: tuple[tuple[str, Json], ...] = (
            ("approvals.answer", answer),
            ("approvals.answer", {**answer, "channel": "terminal"}),
            ("approvals.passphrase", {"new": "mine"}),
            ("taint.clear", {"who": None}),
            ("pins.accept", {"choices": []}),
        )
        for method, params in commands:
            said = ask_at_the_socket(yard, method, params)
            assert f"{method} needs a person at a terminal" in said["error"]
        assert state(yard, approval["id"])["state"] == "pending"
        assert "result" in ask_at_the_socket(yard, "approvals.show", {"id": approval["id"]})


def test_approving_shows_the_call_asks_and_sends_nothing_without_a_yes_or_the_digest():
    with yard_of() as yard:
        yard.bridge().call("bad__echo", {"text": "gnp\u202etxt.exe"})
        [approval] = waiting(yard)
        words = ("approvals", "approve", approval["id"])
        with terminal(yard, *words) as screen:
            screen.expect(r'"text": "gnp\\u202etxt.exe"')
            screen.expect(r"Approve\? \[y/N\] ")
            screen.type("\n")
            screen.expect("Nothing was answered")
            assert screen.wait() == 1
        with terminal(yard, *words, "--yes") as screen:
            screen.expect("--digest has to say what you have seen")
        with terminal(yard, *words, "--yes", "--digest", "0123456789") as screen:
            screen.expect("has the digest")
        assert state(yard, approval["id"])["state"] == "pending"
        with terminal(yard, *words, "--yes", "--digest", approval["digest"][:12]) as screen:
            screen.expect("is approved")
        assert state(yard, approval["id"])["state"] == "approved"


def test_answers_need_the_passphrase_where_one_is_set():
    with yard_of() as yard:
        yard.bridge().call("bad__echo")
        [approval] = waiting(yard)
        with terminal(yard, "approvals", "passphrase") as screen:
            for prompt in ("New passphrase", "Once more"):
                screen.expect(prompt)
                screen.type("open sesame\n")
            screen.expect("is set")
            assert screen.wait() == 0
        for typed, said in (("wrong", "missing or wrong"), ("open sesame", "is approved")):
            with terminal(yard, "approvals", "approve", approval["id"]) as screen:
                say_yes(screen)
                screen.expect("Passphrase: ")
                screen.type(f"{typed}\n")
                screen.expect(said)
        # It is kept beside the approvals: no file that a program could remove lifts it.
        assert not [one for one in (yard.folder / "data").rglob("*passphrase*") if one.is_file()]
        with terminal(yard, "approvals", "passphrase") as screen:
            for prompt in ("so far", "New passphrase", "Once more"):
                screen.expect(prompt)
                screen.type("a guess\n")
            screen.expect("missing or wrong")


def call_until_served(bridge: Bridge, name: str, arguments: Json) -> Json:
    """Call, again where the bridge had not noticed yet that its daemon was gone."""
    answer: Json = {}
    for _ in range(5):
        answer = bridge.call(name, arguments)
        if "result" in answer:
            break
        assert "The host ended" in answer["error"]["message"]
    return answer


def kill_daemon(yard: Yard) -> None:
    daemon = yard.daemon()
    os.kill(daemon, signal.SIGKILL)
    wait_until(lambda: not is_alive(daemon))


def test_an_approval_and_its_parked_call_survive_kill_9_before_and_after_the_answer():
    with yard_of() as yard:
        bridge = yard.bridge()
        bridge.call("bad__echo", {"text": "hello"})
        [approval] = waiting(yard)
        kill_daemon(yard)
        approve(yard, approval)
        assert state(yard, approval["id"])["arguments"] == {"text": "hello"}
        kill_daemon(yard)
        answer = call_until_served(bridge, "bad__echo", {"text": "hello"})
        assert answer["result"]["structuredContent"] == {"text": "hello"}
        assert len(made(yard, "bad__echo")) == 1
        assert state(yard, approval["id"])["outcome"] == "ok"


def test_an_approved_call_that_kill_9_cut_off_is_reported_unknown_and_never_made_again():
    with yard_of() as yard:
        bridge: Bridge = yard.bridge()
        bridge.call("bad__hang")
        [approval] = waiting(yard)
        approve(yard, approval)
        lost = bridge.send("tools/call", {"name": "bad__hang", "arguments": {}})
        wait_until(lambda: len(made(yard, "bad__hang")) == 1)
        wait_until(lambda: state(yard, approval["id"])["state"] == "consumed")
        kill_daemon(yard)
        assert "not known" in bridge.wait(lost)["error"]["message"]
        assert yard.host("approvals", "list", "--all")[0]["state"] == "unknown"
        told = text(bridge.call("bad__hang"))
        assert f"approved as {approval['id']}, was cut off" in told
        assert "waits for an approval" in text(bridge.call("bad__hang"))
        assert len(made(yard, "bad__hang")) == 1
