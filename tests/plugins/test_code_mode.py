"""Programs that call tools: what they can import, what comes back, and who decides."""

from dataclasses import replace

import pytest

from host.domain.jsonrpc import Json
from tests.fakes.gateway_scene import Scene, open_scene
from tests.plugins.shop import install

pytestmark = pytest.mark.anyio

CLIENTS: Json = {"http": {"expose": "code"}}


def said(result: Json) -> str:
    return result["content"][0]["text"]


async def test_a_client_in_code_mode_is_shown_two_tools():
    scene_of_it = open_scene({}, web={"bad": {}}, clients=CLIENTS)
    async with scene_of_it as scene, scene.stateless() as client:
        tools = (await client.request("tools/list"))["tools"]
        assert [tool["name"] for tool in tools] == ["host__run_code", "host__tool_stubs"]


async def test_without_code_mode_nobody_is_shown_it():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        names = [tool["name"] for tool in (await client.request("tools/list"))["tools"]]
        assert "host__run_code" not in names


async def test_a_program_calls_tools_and_only_what_it_prints_and_returns_comes_back():
    code = """
from tools import bad
print("before the calls")
texts = [bad.echo(text=word) for word in ("one", "two")]
print(len(texts), "calls")
sorted("one" in str(text) for text in texts)
"""
    scene_of_it = open_scene({}, web={"bad": {}}, clients=CLIENTS)
    async with scene_of_it as scene, scene.stateless() as client:
        assert said(await client.call("host__run_code", {"code": code})) == (
            "before the calls\n2 calls\n[false, true]"
        )
        names = [entry["name"] for entry in scene.entries() if entry["kind"] == "intent"]
        assert names == ["host__run_code", "bad__echo", "bad__echo"]


async def test_the_tool_inside_a_program_is_decided_as_itself():
    code = """
from tools.bad import echo
try:
    echo(text="hello")
except host.CallError as error:
    print(error)
"""
    now: Json = {"wait": 0}
    scene_of_it = open_scene({}, web={"bad": {}}, clients=CLIENTS, policy="default", approvals=now)
    async with scene_of_it as scene, scene.client("stateless", bare=True) as client:
        result = await client.call("host__run_code", {"code": code})
        assert "isError" not in result
        assert "bad__echo waits for an approval" in said(result)
        assert scene.calls()[-1] == ("host__run_code", "ok")


async def test_stubs_show_signatures_that_a_program_can_use():
    code = '@tool\ndef add(a: int, b: list[str] = None) -> int:\n    "Adds."\n    return a\n'
    scene_of_it = open_scene({}, web={"bad": {}}, clients=CLIENTS)
    async with scene_of_it as scene, scene.stateless() as client:
        await install(scene.host, "adder-two", code)
        index = said(await client.call("host__tool_stubs"))
        assert "tools.adder_two.add: Adds." in index.splitlines()
        text = said(await client.call("host__tool_stubs", {"servers": ["adder_two"]}))
        assert text == (
            '# tools.adder_two\ndef add(a: int, b: list[str] = None) -> str:\n    "Adds."'
        )
        found = said(await client.call("host__tool_stubs", {"names": ["adder_two.add"]}))
        assert found == text
        by_words = said(await client.call("host__tool_stubs", {"query": "adds"}))
        assert text in by_words
        program = {"code": "import tools.adder_two as two\ntwo.add(5)"}
        assert said(await client.call("host__run_code", program)) == "5"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os", "line 1: `import os`: Plugins import only modules that cannot reach out."),
        ("x = 1\n\n1 / 0", "program, line 3, in main\nZeroDivisionError: division by zero"),
        ("def f(:", "line 1: `def f(:`: It is not valid Python"),
    ],
)
async def test_a_faulty_program_is_told_the_line(code: str, message: str):
    async with open_scene({}, clients=CLIENTS) as scene, scene.stateless() as client:
        result = await client.call("host__run_code", {"code": code})
        assert result["isError"] is True
        assert message in said(result)


async def test_a_program_that_takes_too_long_is_told_what_can_be_done_about_it():
    program = {"code": "while True:\n    pass", "timeout": 0.5}
    scene_of_it = open_scene({}, web={"bad": {}}, clients=CLIENTS)
    async with scene_of_it as scene, scene.stateless() as client:
        result = await client.call("host__run_code", program)
        assert result["isError"] is True
        assert said(result) == (
            "The program had not finished after 0.5 s of computing and was ended. "
            "Shorten it: fewer items at a time, no endless loop; or run it in parts. "
            "If it needs longer, give a larger `timeout` (up to 300)."
        )


async def test_a_program_cannot_run_programs():
    code = "host.call_tool('host__run_code', code='1')"
    async with open_scene({}, clients=CLIENTS) as scene, scene.stateless() as client:
        assert "cannot call itself" in said(await client.call("host__run_code", {"code": code}))


async def test_code_mode_goes_with_the_setting():
    async with open_scene({}, clients=CLIENTS) as scene:
        assert await offers_programs(scene)
        settings = scene.host.settings.model_copy(update={"clients": {}})
        await scene.host.apply(replace(scene.host.loaded, settings=settings))
        assert not await offers_programs(scene)


async def offers_programs(scene: Scene) -> bool:
    async with scene.line() as client:
        await client.initialize()
        tools = (await client.request("tools/list"))["tools"]
        return "host__run_code" in {tool["name"] for tool in tools}
