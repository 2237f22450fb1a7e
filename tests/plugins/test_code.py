"""Hooks, evaluators and rules: a policy asks rules, the host's own code calls the others."""

from typing import Any

import pytest

from host.domain.errors import NotFoundError, SandboxError
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.gateway.exchange import QuietExchange, QuietSession
from host.plugins.shapes import HookAnswer, Score
from tests.fakes.gateway_scene import Scene, open_scene
from tests.plugins.shop import install

pytestmark = pytest.mark.anyio

GUARD = '''
asked = []

@rule
def loud(args: dict, tool: str):
    """Whether a text is shouted."""
    return tool == "echo" and args["text"].isupper()

@rule
def everything(call: dict):
    asked.append(call["name"])
    print(sorted(call))
    return len(asked) > 1

@rule
def spins():
    while True:
        pass

@rule
def unsure(args: dict):
    return "perhaps"

@rule
def reaches_out(args: dict):
    return host.call_tool("bad__echo", text="from a rule")

@tool
def count():
    return len(asked)
'''


def put_policy(scene: Scene, *rules: str, default: str = "allow") -> None:
    file = scene.host.paths.config / "policies" / "mine.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"default: {default}\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules))


def denies(name: str) -> str:
    return f"{{name: code, action: deny, match: {{tool: echo, plugin: {name}}}}}"


def text_of(result: Json) -> str:
    return result["content"][0]["text"]


async def test_a_plugins_rule_decides_about_a_call():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await install(scene.host, "guard", GUARD)
        put_policy(scene, denies("guard.loud"))
        assert "quiet" in str(await client.call("bad__echo", {"text": "quiet"}))
        refused = await client.call("bad__echo", {"text": "LOUD"})
        assert "Rule mine/code: it is about this call." in text_of(refused)
        assert [call for call in scene.calls() if call[1] == "ok"] == [("bad__echo", "ok")]
        assert "LOUD" not in str(scene.server().seen)


async def test_a_rule_can_ask_for_all_that_is_known_and_keeps_its_own_process():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await install(scene.host, "guard", GUARD)
        put_policy(scene, denies("guard.everything"))
        assert "one" in str(await client.call("bad__echo", {"text": "one"}))
        assert "Rule mine/code" in text_of(await client.call("bad__echo", {"text": "two"}))
        assert text_of(await client.call("guard__count")) == "0"  # a tool's process is another
        log = (scene.host.paths.logs / "plugin-guard.log").read_text()
        assert "'args', 'attended', 'client', 'face'" in log


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("guard.unsure", "It returned 'perhaps'; a rule returns True or False"),
        ("guard.reaches_out", "A rule may only compute: bad__echo cannot be used in it"),
        ("guard.spins", "guard.spins did not finish in time"),
        ("guard.lout", "There is no rule of the plugin guard named 'lout'"),
        ("gard.loud", "There is no running plugin named 'gard'"),
    ],
)
async def test_a_rule_that_does_not_say_denies_and_tells_why(function: str, why: str):
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await install(scene.host, "guard", GUARD, tools=["*"], limits={"timeout": 0.5})
        put_policy(scene, denies(function))
        refused = text_of(await client.call("bad__echo", {"text": "x"}))
        assert why in refused
        assert "so it counts" in refused
        assert "from a rule" not in str(scene.server().seen)


async def test_a_rule_that_does_not_say_allows_nothing():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await install(scene.host, "guard", GUARD)
        allows = "{name: code, action: allow, match: {tool: echo, plugin: guard.unsure}}"
        put_policy(scene, allows, default="deny")
        refused = text_of(await client.call("bad__echo", {"text": "x"}))
        assert "the default is deny" in refused


KEEPER = '''
@hook
def shorten(step: str, input: dict):
    """Before a step: cuts its text."""
    return {"value": {**input, "text": input["text"][:3]}} if step == "say" else None

@hook("after")
def check(output):
    if output == "bad":
        return {"stop": "it is bad"}

@hook(["before", "after"])
def confused():
    return 5

@evaluator
def length(output: str, expected: str = "", **rest):
    return {"score": min(len(output), 10) / 10, "reason": f"{len(output)} characters"}

@evaluator
def exact(case: dict):
    return case["output"] == case["expected"]

@evaluator
def wild():
    return 3
'''


async def test_hooks_and_evaluators_are_called_in_their_shapes():
    async with open_scene({}) as scene:
        await install(scene.host, "keeper", KEEPER)
        code = scene.host.plugins.code
        exchange = QuietExchange(QuietSession(Principal("ann", "test"), "cli"), None)

        async def hook(name: str, **event: Any) -> HookAnswer:
            return await code.call_hook(f"keeper.{name}", event, exchange=exchange)

        async def score(name: str, **case: Any) -> Score:
            return await code.evaluate(f"keeper.{name}", case, exchange=exchange)

        assert code.declared("hook") == ["keeper.shorten", "keeper.check", "keeper.confused"]
        assert code.declared("hook", stage="after") == ["keeper.check", "keeper.confused"]
        assert code.declared("rule") == []
        changed = await hook("shorten", stage="before", step="say", input={"text": "hello"})
        assert changed == HookAnswer(changed=True, value={"text": "hel"})
        assert await hook("shorten", step="other", input={}) == HookAnswer()
        assert await hook("check", output="bad") == HookAnswer(stop="it is bad")
        with pytest.raises(SandboxError, match="A hook returned 5"):
            await hook("confused")
        assert await score("length", output="hello") == Score(0.5, True, "5 characters")
        assert await score("exact", output=1, expected=2) == Score(0.0, False)
        with pytest.raises(SandboxError, match="returned the score 3"):
            await score("wild", output="x")
        with pytest.raises(NotFoundError, match="no evaluator of the plugin keeper named 'check'"):
            await score("check", output="x")
