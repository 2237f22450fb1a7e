"""Ways around the policy that a caller might try; what is judged is what the server gets."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from host.domain.jsonrpc import Json, RpcError
from host.gateway.exchange import Exchange
from host.gateway.local import LocalProvider, text_result
from tests.fakes.gateway_scene import Scene, open_scene

pytestmark = pytest.mark.anyio

MINE = """
default: allow
rules:
  - name: no-send
    action: deny
    because: not to evil
    match: {tool: send, arguments: {/to: {in: [evil]}}}
  - name: no-many
    action: deny
    because: too much
    match: {tool: send, arguments: {/n: {range: {above: 5}}}}
  - {name: no-wipe, action: deny, because: no wiping, match: {name: own__wipe}}
  - {name: no-secret, action: deny, because: it is secret, match: {name: "own://secret"}}
"""


class Own(LocalProvider):
    """Notes what reaches it."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.got: list[Json] = []

    @override
    async def tools(self) -> list[Json]:
        schema: Json = {"type": "object"}
        return [{"name": name, "inputSchema": schema} for name in ("send", "wipe")]

    @override
    async def resources(self) -> list[Json]:
        return [{"uri": "own://secret", "name": "s"}, {"uri": "own://plain", "name": "p"}]

    @override
    async def read(self, exchange: Exchange, uri: str) -> Json:
        self.got.append({"uri": uri})
        return {"contents": [{"uri": uri, "text": "content"}]}

    @override
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        self.got.append(arguments)
        return text_result("done")


def prepare(scene: Scene, policy: str = MINE) -> Own:
    folder = scene.host.paths.config / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.yaml").write_text(policy)
    own = scene.host.own["own"] = Own("own", scene.host.gateway.on_notice)
    return own


def raw_call(arguments: str) -> bytes:
    """A line in which names may come twice."""
    return (
        f'{{"jsonrpc":"2.0","id":"raw","method":"tools/call",'
        f'"params":{{"name":"own__send","arguments":{arguments}}}}}\n'
    ).encode()


@pytest.mark.parametrize(
    ("arguments", "reaches"),
    [
        ('{"to":"good","to":"evil"}', None),
        ('{"to":"evil","to":"good"}', {"to": "good"}),
        ('{"to":"good","\\u0074o":"evil"}', None),
        ('{"to":{"to":"good"},"to":["evil"]}', None),
        ('{"to":"good","To":"evil"}', None),
        ('{"to":"\\u0065vil"}', None),
        ('{"to":"ｅvil"}', None),  # noqa: RUF001
        ('{"to":"good","n":"9"}', None),
        ('{"to":"good","n":9e0}', None),
        ('{"to":"good","n":NaN}', None),
        ('{"to":"good","n":5.0}', {"to": "good", "n": 5.0}),
    ],
)
async def test_what_is_judged_is_what_the_server_gets(arguments: str, reaches: Json | None):
    async with open_scene({}) as scene, scene.line() as client:
        await client.initialize()
        own = prepare(scene)
        answered: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        client.waiting["raw"] = answered
        await client.post(raw_call(arguments))
        await answered
        if reaches is None:
            assert scene.calls() == [("own__send", "denied")]
        assert own.got == ([] if reaches is None else [reaches])


@pytest.mark.parametrize(
    "name",
    ["OWN__wipe", "own__wipe ", "own__wi\u0440e", "own__\u200bwipe", "wipe", "own/wipe"],
)
async def test_a_tool_answers_to_no_name_but_its_own(name: str):
    async with open_scene({}) as scene, scene.line() as client:
        await client.initialize()
        own = prepare(scene)
        with pytest.raises(RpcError, match="Unknown tool"):
            await client.call(name)
        assert own.got == []


async def test_a_tool_that_is_called_through_the_search_tool_is_judged_as_itself():
    async with open_scene({}, clients={"http": {"expose": "search"}}) as scene:
        own = prepare(scene)
        async with scene.stateless() as client:
            names = [tool["name"] for tool in (await client.request("tools/list"))["tools"]]
            call = next(name for name in names if "call" in name)
            result = await client.call(call, {"name": "own__wipe", "arguments": {}})
        assert "no wiping" in result["content"][0]["text"]
        assert own.got == []


@pytest.mark.parametrize("uri", ["own://secret", "own+own://secret"])
async def test_a_resource_is_judged_by_the_name_in_the_list_whichever_it_is_asked_by(uri: str):
    async with open_scene({}) as scene, scene.stateless() as client:
        own = prepare(scene)
        with pytest.raises(RpcError, match="it is secret"):
            await client.request("resources/read", {"uri": uri})
        assert own.got == []
        plain = await client.request("resources/read", {"uri": uri.replace("secret", "plain")})
        assert plain["contents"][0]["text"] == "content"


async def test_a_renamed_tool_is_still_known_by_the_servers_own_name():
    config = {"tools": {"rename": {"echo": "say"}}, "prefix": "x"}
    async with open_scene({}, web={"bad": {"config": config}}) as scene:
        prepare(scene, "default: allow\nrules: [{name: n, action: deny, match: {tool: echo}}]\n")
        async with scene.stateless() as client:
            result = await client.call("x__say", {"text": "a"})
        assert "mine/n" in result["content"][0]["text"]


async def test_a_path_that_leads_out_of_its_folder_by_a_detour_is_not_inside_it(tmp_path: Path):
    safe, secret = tmp_path / "safe", tmp_path / "secret"
    safe.mkdir()
    secret.mkdir()
    (safe / "out").symlink_to(secret)
    match = {"arguments": {"/path": {"path": {"inside": str(safe)}}}}
    policy = {"default": "deny", "rules": [{"name": "r", "action": "allow", "match": match}]}
    detours = [
        *(f"{safe}/../secret/x", f"{safe}/a/../../secret/x", f"{safe}/./..//secret/x"),
        *(f"{safe}/out/x", f"{safe}/out", f"{safe}-other/x", f"{tmp_path}/SAFE/x", "safe/x"),
        *(
            f"{safe}/../secret/x\0",
            f" {safe}/x",
            f"file://{safe}/../secret/x",
            f"{safe}\\..\\secret",
        ),
    ]
    async with open_scene({}) as scene, scene.stateless() as client:
        own = prepare(scene, json.dumps(policy))
        for path in detours:
            result = await client.call("own__send", {"path": path})
            assert (path, result.get("isError")) == (path, True)
        assert own.got == []
        inside = {"path": f"{safe}/a/../b"}
        await client.call("own__send", inside)
        assert own.got == [inside]


async def test_an_address_that_only_looks_like_the_allowed_one_is_another():
    match = {"arguments": {"/url": {"url": {"scheme": "https", "host": "good.example"}}}}
    policy = {"default": "deny", "rules": [{"name": "r", "action": "allow", "match": match}]}
    tricks = [
        *("https://good.example@evil.example/", "https://good.example:x@evil.example/"),
        *("https://evil.example/good.example", "https://evil.example#@good.example/"),
        *("https://evil.example\\@good.example/", "https://good.example.evil.example/"),
        *("https://goodexample/", "https://g\u043eod.example/", "http://good.example/"),
        *("https://xn--god-sed.example/", "https:good.example", "//good.example/", "good.example"),
        *("https://2130706433/", "https://0x7f.1/", "https://good.example\n@evil.example/"),
    ]
    async with open_scene({}) as scene, scene.stateless() as client:
        own = prepare(scene, json.dumps(policy))
        for url in tricks:
            result = await client.call("own__send", {"url": url})
            assert (url, result.get("isError")) == (url, True)
        assert own.got == []
        for url in ("https://good.example/x", "https://GOOD.example:443/", "https://good.example."):
            await client.call("own__send", {"url": url})
        assert len(own.got) == 3


async def test_a_link_that_is_swapped_after_the_decision_stops_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "safe").mkdir()
    (tmp_path / "secret").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "safe")
    match = {"arguments": {"/path": {"path": {"inside": str(tmp_path / "safe")}}}}
    policy = {"default": "deny", "rules": [{"name": "r", "action": "allow", "match": match}]}
    async with open_scene({}) as scene, scene.stateless() as client:
        own = prepare(scene, json.dumps(policy))
        arguments = {"path": str(link / "file")}
        await client.call("own__send", arguments)
        assert own.got == [arguments]
        admit = scene.host.gate.admit

        async def swap(*words: Any) -> Any:
            judged = await admit(*words)
            link.unlink()
            link.symlink_to(tmp_path / "secret")
            return judged

        monkeypatch.setattr(scene.host.gate, "admit", swap)
        result = await client.call("own__send", arguments)
        assert "/path leads elsewhere" in result["content"][0]["text"]
        assert own.got == [arguments]
        assert scene.calls()[-1] == ("own__send", "denied")
