"""Calls that a rule asks about, through the gateway, in both eras."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from host.app import TERMINAL
from host.approvals.approval import Answer, Approval
from host.approvals.desk import ASKED_AT_MOST
from host.approvals.elicitation import ANY, DENY, ONCE, SAME
from host.approvals.grant import GrantTerms
from host.domain.errors import AccessError
from host.domain.jsonrpc import RpcError
from host.domain.principal import Principal
from host.policy.code import Findings
from tests.fakes.gateway_scene import Scene, open_scene, stdio
from tests.fakes.misbehaviour import Json
from tests.fakes.raw_client import ALL, accept, refuse

pytestmark = pytest.mark.anyio

ERAS = ["handshake", "stateless"]
SOON: Json = {"wait": 0, "progress": 0.01}
PATIENT: Json = {"wait": 60, "progress": 0.05}


class Person:
    """Somebody at an attended client."""

    def __init__(self, *answers: Json) -> None:
        self.answers = list(answers)
        self.asked: list[Json] = []
        self.done: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, method: str, params: Json) -> Json:
        if method == "sampling/createMessage":
            return await accept(method, params)
        if "Approval needed" not in str(params.get("message")):
            return {"action": "accept", "content": {"said": params.get("message")}}
        self.asked.append(params)
        self.done.put_nowait(None)
        return self.answers.pop(0)


def says(answer: str, **content: Any) -> Json:
    return {"action": "accept", "content": {"answer": answer, **content}}


def text(result: Json) -> str:
    return result["content"][0]["text"]


@asynccontextmanager
async def scene_of(
    data: Path,
    *,
    era: str = "both",
    approvals: Json = PATIENT,
    server: Json | None = None,
    child: bool = False,
) -> AsyncGenerator[Scene]:
    web: dict[str, Json] = {"bad": {"era": era, **(server or {})}}
    async with open_scene(
        {"bad": stdio()} if child else {},
        web={} if child else web,
        policy="default",
        data=data,
        approvals=approvals,
        auth="token",
    ) as scene:
        write_policy(scene)
        yield scene


def token(scene: Scene, name: str = "ide", *, attended: bool = True) -> str:
    return scene.host.tokens.create(name, attended=attended, replace=True)


def open_client(scene: Scene, kind: str, person: Any = refuse, *, attended: bool = True) -> Any:
    own = token(scene, attended=attended)
    return getattr(scene, kind)(person, bare=True, token=own, **ALL)


def write_policy(scene: Scene, *rules: str) -> None:
    """Let everything be asked about, once where no rule says every time, but for these rules."""
    folder = scene.host.paths.config / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    talk = "{name: talk, action: allow, match: {method: [elicitation, roots]}}"
    (folder / "mine.yaml").write_text(f"default: ask\nrules: [{', '.join((talk, *rules))}]\n")


def intents(scene: Scene) -> list[Json]:
    return [entry for entry in scene.entries() if entry["kind"] == "intent"]


def notes(scene: Scene) -> list[str]:
    names = [entry["name"] for entry in scene.entries() if entry["kind"] == "note"]
    return [name for name in names if name.startswith("approval.")]


async def one_waiting(scene: Scene) -> Any:
    """Return the approval that waits, once one does."""
    version = 0
    while True:
        found = [one for one in await scene.host.inbox.approvals() if one.state == "pending"]
        if found:
            return found[0]
        version = await scene.host.board.changed(version, limit=30)


async def answer(
    scene: Scene, *, approve: bool = True, by: Principal = TERMINAL, **more: Any
) -> Any:
    approval = await one_waiting(scene)
    said = Answer(approve=approve, by=by, channel="cli", digest=approval.digest, **more)
    return await scene.host.inbox.answer(approval.id, said)


@pytest.mark.parametrize("kind", ERAS)
@pytest.mark.parametrize("era", ERAS)
async def test_person_at_the_client_approves_and_the_call_runs_once(
    empty_store_folder: Path, kind: str, era: str
):
    person = Person(says(ONCE))
    async with scene_of(empty_store_folder, era=era) as scene:
        async with open_client(scene, kind, person) as client:
            result = await client.call("bad__echo", {"text": "hello"})
        assert result["structuredContent"] == {"text": "hello"}
        assert len(person.asked) == 1
        assert '"text": "hello"' in person.asked[0]["message"]
        assert "No rule is about this tool" in person.asked[0]["message"]
        assert len(scene.server().values("tools/call")) == 1
        [made] = [intent for intent in intents(scene) if intent.get("approval")]
        assert made["decision"] == "ask"
        [row] = await scene.host.inbox.approvals(every=True)
        assert (row.id, row.state, row.outcome) == (made["approval"], "consumed", "ok")
        assert (row.approver, row.channel) == ("local/ide", "elicitation")
        assert notes(scene) == ["approval.asked", "approval.approved", "approval.used"]


@pytest.mark.parametrize("kind", ERAS)
async def test_denied_call_never_reaches_its_server_and_the_reason_reaches_the_caller(
    empty_store_folder: Path, kind: str
):
    person = Person(says(DENY, reason="not on a Friday"))
    async with scene_of(empty_store_folder) as scene:
        async with open_client(scene, kind, person) as client:
            result = await client.call("bad__echo", {"text": "hello"})
        assert result["isError"] is True
        assert "not on a Friday" in text(result)
        assert scene.server().values("tools/call") == []
        assert scene.calls()[-1] == ("bad__echo", "denied")


@pytest.mark.parametrize("kind", ERAS)
async def test_a_form_that_a_client_accepts_by_itself_is_no_yes(
    empty_store_folder: Path, kind: str
):
    replies: list[Json] = [
        {"action": "accept", "content": {}},
        {"action": "accept", "content": {"answer": True}},
        {"action": "cancel"},
    ]
    person = Person(*replies)
    async with scene_of(empty_store_folder) as scene:
        async with open_client(scene, kind, person) as client:
            for _ in range(3):
                task = asyncio.ensure_future(client.call("bad__echo", {"text": "hello"}))
                await person.done.get()
                await answer(scene, approve=False)
                assert "denied by a person" in text(await task)
        assert scene.server().values("tools/call") == []


@pytest.mark.parametrize("kind", ERAS)
async def test_only_an_attended_client_is_asked(empty_store_folder: Path, kind: str):
    person = Person(says(ONCE))
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        async with open_client(scene, kind, person, attended=False) as client:
            result = await client.call("bad__echo", {"text": "hello"})
            assert "host approvals approve" in text(result)
        assert person.asked == []


@pytest.mark.parametrize("kind", ERAS)
async def test_a_call_that_was_not_answered_in_time_goes_on_when_it_is_made_again(
    empty_store_folder: Path, kind: str
):
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        async with open_client(scene, kind, attended=False) as client:
            first = await client.call("bad__echo", {"text": "hello"})
            approval = await one_waiting(scene)
            assert approval.id in text(first)
            assert approval.id in text(await client.call("bad__echo", {"text": "hello"}))
            await answer(scene)
            done = await client.call("bad__echo", {"text": "hello"})
            assert done["structuredContent"] == {"text": "hello"}
            third = await client.call("bad__echo", {"text": "hello"})
            assert approval.id not in text(third)
            assert "waits for an approval" in text(third)
        assert len(scene.server().values("tools/call")) == 1
        ends = ("pending", "pending", "ok", "pending")
        assert scene.calls() == [("bad__echo", end) for end in ends]


async def test_an_approval_is_good_for_its_caller_tool_and_arguments_only(empty_store_folder: Path):
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        async with open_client(scene, "stateless", attended=False) as client:
            await client.call("bad__echo", {"text": "hello"})
            await answer(scene)
            for name, arguments in (
                ("bad__echo", {"text": "Hello"}),
                ("bad__echo", {"text": "hello", "more": None}),
                ("bad__answer", {"text": "hello"}),
            ):
                assert "waits for" in text(await client.call(name, arguments))
        other = token(scene, "other", attended=False)
        async with scene.stateless(bare=True, token=other) as stranger:
            assert "waits for" in text(await stranger.call("bad__echo", {"text": "hello"}))
        assert scene.server().values("tools/call") == []


@pytest.mark.parametrize("kind", ERAS)
async def test_the_first_answer_wins_and_the_call_waits_with_progress(
    empty_store_folder: Path, kind: str
):
    async with scene_of(empty_store_folder, approvals={**PATIENT, "progress": 0.01}) as scene:
        async with open_client(scene, kind, attended=False) as client:
            params = {"name": "bad__echo", "arguments": {}, "_meta": {"progressToken": "p"}}
            task = asyncio.ensure_future(client.request("tools/call", params))
            told = await client.wait_note("notifications/progress", 3)
            values = [note["progress"] for note in told]
            assert values == sorted(set(values))
            assert values[-1] < 0.01  # so that the server's own progress can still rise
            await answer(scene)
            assert (await task)["structuredContent"] == {}
        [row] = await scene.host.inbox.approvals(every=True)
        assert (row.approver, row.channel) == ("local/terminal", "cli")


async def test_a_question_in_the_client_is_withdrawn_when_somebody_else_answers(
    empty_store_folder: Path,
):
    never, asked = asyncio.Event(), asyncio.Event()

    async def absent(method: str, params: Json) -> Json:
        asked.set()
        await never.wait()
        return {}

    async with (
        scene_of(empty_store_folder) as scene,
        open_client(scene, "handshake", absent) as client,
    ):
        task = asyncio.ensure_future(client.call("bad__echo"))
        await asked.wait()
        await answer(scene)
        assert (await task)["structuredContent"] == {}
        [gone] = await client.wait_note("notifications/cancelled")
        assert gone["requestId"].startswith("host-")


@pytest.mark.parametrize("kind", ERAS)
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("edited", [False, True])
async def test_a_servers_own_question_follows_an_approval(
    empty_store_folder: Path, kind: str, era: str, *, edited: bool
):
    person = Person(says(ONCE))
    async with scene_of(empty_store_folder, era=era, approvals=PATIENT) as scene:
        async with open_client(scene, kind, person, attended=not edited) as client:
            task = asyncio.ensure_future(client.call("bad__ask", {"message": "who?"}))
            if edited:
                await answer(scene, arguments={"message": "what?"})
            result = await task
        asked = "what?" if edited else "who?"
        assert result["structuredContent"]["asked"]["message"] == asked
        assert result["structuredContent"]["reply"]["content"] == {"said": asked}
        assert len(person.asked) == (0 if edited else 1)
        if era == "stateless":
            assert scene.server().values("requestState") == [f"state of {asked}"]
        [row] = await scene.host.inbox.approvals(every=True)
        assert (row.state, row.outcome) == ("consumed", "ok")


async def first_question(client: Any, tool: str = "bad__echo", **arguments: Any) -> Json:
    result = await client.once("tools/call", {"name": tool, "arguments": arguments})
    assert result["resultType"] == "input_required"
    return result


def retry(first: Json, reply: Json, tool: str = "bad__echo", **arguments: Any) -> Json:
    return {
        "name": tool,
        "arguments": arguments,
        "inputResponses": dict.fromkeys(first["inputRequests"], reply),
        "requestState": first["requestState"],
    }


async def test_a_request_state_is_good_once_and_for_its_own_call(empty_store_folder: Path):
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        async with open_client(scene, "stateless", Person()) as client:
            first = await first_question(client, text="hello")
            state = first["requestState"]
            changed = state[:40] + ("A" if state[40] != "A" else "B") + state[41:]
            for params in (
                {**retry(first, says(ONCE), text="hello"), "requestState": changed},
                retry(first, says(ONCE), text="other"),
                retry(first, says(ONCE), "bad__answer", text="hello"),
            ):
                with pytest.raises(RpcError, match="request state"):
                    await client.once("tools/call", params)
            other = token(scene, "other")
            async with scene.stateless(bare=True, token=other, **ALL) as stranger:
                with pytest.raises(RpcError, match="another call"):
                    await stranger.once("tools/call", retry(first, says(ONCE), text="hello"))
            assert scene.server().values("tools/call") == []
            good = retry(first, says(ONCE), text="hello")
            done = await client.once("tools/call", good)
            assert done["structuredContent"] == {"text": "hello"}
            with pytest.raises(RpcError, match="used before"):
                await client.once("tools/call", good)
        assert len(scene.server().values("tools/call")) == 1


async def test_the_state_of_a_servers_question_after_an_approval_is_good_once(
    empty_store_folder: Path,
):
    async with scene_of(empty_store_folder, era="stateless", approvals=SOON) as scene:
        async with open_client(scene, "stateless", Person()) as client:
            first = await first_question(client, "bad__ask", message="who?")
            approve = retry(first, says(ONCE), "bad__ask", message="who?")
            second = await client.once("tools/call", approve)
            assert list(second["inputRequests"]) == ["q"]
            reply: Json = {"action": "accept", "content": {}}
            last = retry(second, reply, "bad__ask", message="who?")
            assert "structuredContent" in await client.once("tools/call", last)
            again = await client.once("tools/call", last)
            assert "used before" in text(again)
        assert len(scene.server().values("requestState")) == 1


async def test_edited_arguments_are_sent_and_both_versions_are_recorded(empty_store_folder: Path):
    async with scene_of(empty_store_folder) as scene:
        async with open_client(scene, "handshake", attended=False) as client:
            task = asyncio.ensure_future(client.call("bad__echo", {"text": "rude"}))
            await answer(scene, arguments={"text": "kind"})
            assert (await task)["structuredContent"] == {"text": "kind"}
        note = next(one for one in scene.entries() if one.get("name") == "approval.approved")
        assert note["detail"]["arguments"] == {"text": "rude"}
        assert note["detail"]["edited_arguments"] == {"text": "kind"}
        assert intents(scene)[-1]["arguments"] == {"text": "kind"}


async def test_edited_arguments_have_to_fit_the_tool_and_the_policy(empty_store_folder: Path):
    schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
    server = {"extra": [{"name": "mail", "inputSchema": schema}]}
    async with scene_of(empty_store_folder, approvals=SOON, server=server) as scene:
        write_policy(
            scene,
            "{name: no-eve, action: deny, because: eve is a stranger,"
            " match: {name: bad__mail, arguments: {/to: {in: [eve]}}}}",
        )
        async with open_client(scene, "stateless", attended=False) as client:
            await client.call("bad__mail", {"to": "bob"})
            with pytest.raises(AccessError, match="do not fit the tool"):
                await answer(scene, arguments={"to": 5})
            with pytest.raises(AccessError, match="eve is a stranger"):
                await answer(scene, arguments={"to": "eve"})
            await answer(scene, arguments={"to": "ann"})
            result = await client.call("bad__mail", {"to": "bob"})
            assert result["structuredContent"] == {"to": "ann"}


@pytest.mark.parametrize("kind", ERAS)
async def test_the_person_at_the_client_sends_other_arguments_and_is_asked_again_if_they_do_not_fit(
    empty_store_folder: Path, kind: str
):
    schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
    server = {"extra": [{"name": "mail", "inputSchema": schema}]}
    edits = ["nonsense", '{"to": 5}', '{"to": "eve"}', '{"to": "ann"}']
    person = Person(*(says(ONCE, arguments=edit) for edit in edits))
    async with scene_of(empty_store_folder, server=server) as scene:
        write_policy(
            scene,
            "{name: no-eve, action: deny, because: eve is a stranger,"
            " match: {name: bad__mail, arguments: {/to: {in: [eve]}}}}",
        )
        async with open_client(scene, kind, person) as client:
            result = await client.call("bad__mail", {"to": "bob"})
        assert result["structuredContent"] == {"to": "ann"}
        problems = [asked["message"].splitlines()[1] for asked in person.asked[1:]]
        for problem, word in zip(problems, ["JSON", "fit", "stranger"], strict=True):
            assert word in problem
        assert scene.server().values("tools/call")[0]["arguments"] == {"to": "ann"}
        assert notes(scene) == ["approval.asked", "approval.approved", "approval.used"]


@pytest.mark.parametrize("kind", ERAS)
async def test_an_edit_does_not_get_a_call_past_those_who_have_to_approve_it(
    empty_store_folder: Path, kind: str
):
    schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
    server = {"extra": [{"name": "mail", "inputSchema": schema}]}
    person = Person(*(says(ONCE, arguments=f'{{"to": "{to}"}}') for to in ("boss", "ann")))
    async with scene_of(empty_store_folder, server=server) as scene:
        write_policy(
            scene,
            "{name: boss, action: ask, because: it is the boss, approvers: ['role:admin'],"
            " match: {name: bad__mail, arguments: {/to: {in: [boss]}}}}",
        )
        async with open_client(scene, kind, person) as client:
            result = await client.call("bad__mail", {"to": "bob"})
        assert "role:admin" in person.asked[1]["message"]
        assert result["structuredContent"] == {"to": "ann"}
        assert [call["arguments"] for call in scene.server().values("tools/call")] == [
            {"to": "ann"}
        ]


async def test_a_client_that_goes_on_answering_nonsense_is_asked_no_more(empty_store_folder: Path):
    person = Person(*(says(ONCE, arguments="nonsense") for _ in range(ASKED_AT_MOST)))
    async with (
        scene_of(empty_store_folder) as scene,
        open_client(scene, "handshake", person) as client,
    ):
        call = asyncio.ensure_future(client.call("bad__echo", {"text": "rude"}))
        for _ in range(ASKED_AT_MOST):
            await person.done.get()
        await answer(scene)
        assert (await call)["structuredContent"] == {"text": "rude"}
    assert len(person.asked) == ASKED_AT_MOST


async def test_a_policy_that_denies_meanwhile_stops_an_approved_call(empty_store_folder: Path):
    async with scene_of(empty_store_folder) as scene:
        async with open_client(scene, "stateless", attended=False) as client:
            task = asyncio.ensure_future(client.call("bad__echo", {}))
            await one_waiting(scene)
            write_policy(
                scene,
                "{name: stop, action: deny, because: late, match: {name: bad__echo}}",
            )
            await answer(scene)
            assert "stop: late" in text(await task)
        assert scene.server().values("tools/call") == []
        [row] = await scene.host.inbox.approvals(every=True)
        assert row.state == "withdrawn"


async def test_only_those_whom_the_rule_names_may_answer(empty_store_folder: Path):
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        write_policy(
            scene,
            "{name: two, action: ask, approvers: ['user:boss'], match: {name: bad__echo}}",
        )
        person = Person()
        async with open_client(scene, "stateless", person) as client:
            await client.call("bad__echo", {})
            assert person.asked == []
            with pytest.raises(AccessError, match="user:boss"):
                await answer(scene)
            await answer(scene, by=Principal("boss", "terminal"))
            assert (await client.call("bad__echo", {}))["structuredContent"] == {}


async def test_a_grant_for_the_session_answers_the_next_call(empty_store_folder: Path):
    person = Person(says(ANY))
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        scene.host.board.config = scene.host.board.config.model_copy(update={"wait": 60})
        async with open_client(scene, "handshake", person) as client:
            for number in range(3):
                result = await client.call("bad__echo", {"n": number})
                assert result["structuredContent"] == {"n": number}
        assert len(person.asked) == 1
        [grant] = await scene.host.inbox.grants()
        assert grant.used == 2
        assert [intent.get("approval") for intent in intents(scene)][1:] == [grant.id] * 2
        scene.host.board.config = scene.host.board.config.model_copy(update={"wait": 0})
        async with open_client(scene, "handshake", attended=False) as another:
            assert "waits for" in text(await another.call("bad__echo", {"n": 4}))


async def test_one_grant_answers_a_batch_within_its_matchers_and_its_count(
    empty_store_folder: Path,
):
    terms = GrantTerms(
        scope="always",
        exact=False,
        matchers={"/n": {"range": {"min": 0, "max": 9}}},
        expires=600,
        most=3,
    )
    async with (
        scene_of(empty_store_folder) as scene,
        open_client(scene, "handshake", attended=False) as client,
    ):
        calls = [asyncio.ensure_future(client.call("bad__echo", {"n": n})) for n in range(4)]
        version = 0
        while len(await scene.host.inbox.approvals()) < 4:
            version = await scene.host.board.changed(version, limit=30)
        await answer(scene, grant=terms)
        assert [(await call)["structuredContent"]["n"] for call in calls] == [0, 1, 2, 3]
        [grant] = await scene.host.inbox.grants(every=True)
        assert grant.used == 3
        outside = asyncio.ensure_future(client.call("bad__echo", {"n": 10}))
        await answer(scene, approve=False)
        assert "denied by a person" in text(await outside)


@pytest.mark.parametrize("kind", ERAS)
@pytest.mark.parametrize(
    ("shows", "page", "text", "mode"),
    [
        ({"url": {}}, "needed", "hi", "url"),
        ({"url": {}}, "never", "hi", None),
        ({"form": {}, "url": {}}, "needed", "hi", "form"),
        ({"form": {}, "url": {}}, "needed", "x" * 9_000, "url"),
        ({"form": {}, "url": {}}, "always", "hi", "url"),
        ({"form": {}}, "always", "hi", "form"),
        ({"form": {}}, "needed", "x" * 9_000, None),
    ],
)
async def test_a_client_is_asked_by_a_page_or_a_form_as_it_shows_them(
    empty_store_folder: Path, kind: str, shows: Json, page: str, text: str, mode: str | None
):
    asked: list[Json] = []
    opened = asyncio.Event()

    async def person(method: str, params: Json) -> Json:
        asked.append(params)
        opened.set()
        return {"action": "accept", "content": {"answer": ONCE} if params["mode"] == "form" else {}}

    async def link(approval: Approval, who: Principal) -> str:
        return f"http://127.0.0.1:1/approve/{approval.id}/{who.client}"

    approvals = {"wait": 60 if mode else 0, "progress": 1, "page": page}
    async with scene_of(empty_store_folder, approvals=approvals) as scene:
        scene.host.board.page = link
        own = token(scene)
        capabilities = {"elicitation": shows}
        async with getattr(scene, kind)(person, bare=True, token=own, **capabilities) as client:
            call = asyncio.ensure_future(client.call("bad__echo", {"text": text}))
            if mode == "url":
                await opened.wait()
                approval = await answer(scene)
                assert asked[0]["url"].endswith(f"{approval.id}/ide")
                assert text not in asked[0]["message"]
            result = await call
            if mode == "url" and kind == "handshake":
                done = await client.wait_note("notifications/elicitation/complete")
                assert done == [{"elicitationId": asked[0]["elicitationId"]}]
        assert [one["mode"] for one in asked] == ([] if mode is None else [mode])
        assert ("structuredContent" in result) is (mode is not None)


@asynccontextmanager
async def unknown_server(data: Path) -> AsyncGenerator[Scene]:
    """Open a host under the default policy, with a server that no table knows."""
    async with open_scene(
        {}, web={"bad": {"era": "handshake"}}, data=data, policy="default", approvals=SOON
    ) as scene:
        yield scene


async def test_a_grant_that_names_arguments_answers_an_unknown_server_after_its_own_output(
    empty_store_folder: Path,
):
    matchers = {"/to": {"in": ["ann", "bob"]}, "/n": {"range": {"max": 9}}}
    terms = GrantTerms(scope="always", exact=False, matchers=matchers)
    async with unknown_server(empty_store_folder) as scene, scene.handshake() as client:
        await client.call("bad__echo", {"to": "ann", "n": 1})
        assert (await one_waiting(scene)).constrained
        await answer(scene, grant=terms)
        for number, to in enumerate(("ann", "bob", "ann")):
            result = await client.call("bad__echo", {"to": to, "n": number + 1})
            assert result["structuredContent"]["to"] == to
        waits = await client.call("bad__echo", {"to": "eve", "n": 1})
        assert "waits for an approval" in text(waits)
        assert [grant.used for grant in await scene.host.inbox.grants()] == [2]


async def test_a_grant_for_any_arguments_is_refused_where_it_would_not_answer_the_next_call(
    empty_store_folder: Path,
):
    async with unknown_server(empty_store_folder) as scene, scene.handshake() as client:
        await client.call("bad__echo", {"n": 1})
        with pytest.raises(AccessError, match="would not answer the next call"):
            await answer(scene, grant=GrantTerms(scope="always", exact=False))
        await answer(scene, grant=GrantTerms(scope="always", exact=True))
        for _ in range(3):
            assert (await client.call("bad__echo", {"n": 1}))["structuredContent"]["n"] == 1


async def test_the_person_at_a_client_is_not_offered_a_grant_that_answers_nothing(
    empty_store_folder: Path,
):
    person = Person(says(SAME))
    async with open_scene(
        {},
        web={"bad": {"era": "handshake"}},
        data=empty_store_folder,
        policy="default",
        approvals=PATIENT,
        auth="token",
    ) as scene:
        async with open_client(scene, "handshake", person) as client:
            for _ in range(3):
                assert (await client.call("bad__echo", {"n": 1}))["structuredContent"]["n"] == 1
        [asked] = person.asked
        assert asked["requestedSchema"]["properties"]["answer"]["enum"] == [ONCE, SAME, DENY]


async def test_an_edited_call_is_granted_only_as_the_rules_for_that_call_let_it_be(
    empty_store_folder: Path,
):
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        write_policy(
            scene,
            "{name: boss, action: ask, every_time: true,"
            " match: {name: bad__echo, arguments: {/to: {in: [boss]}}}}",
        )
        async with open_client(scene, "handshake", attended=False) as client:
            await client.call("bad__echo", {"to": "bob"})
            terms = GrantTerms(scope="always", exact=True)
            with pytest.raises(AccessError, match="every time"):
                await answer(scene, arguments={"to": "boss"}, grant=terms)
            await answer(scene, arguments={"to": "ann"}, grant=terms)
            assert (await client.call("bad__echo", {"to": "bob"}))["structuredContent"] == {
                "to": "ann"
            }
            assert (await client.call("bad__echo", {"to": "ann"}))["structuredContent"] == {
                "to": "ann"
            }


class Rules:
    """Stands for the plugins: a rule in code that finds one name among the arguments."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def answer(
        self, names: Sequence[str], call: Mapping[str, Any], *, principal: str
    ) -> Findings:
        self.asked.append(call["args"])
        return {name: "eve" in str(call["args"]) for name in names}


async def test_rules_in_code_are_asked_about_edited_arguments(empty_store_folder: Path):
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        scene.host.gate.code = rules = Rules()
        write_policy(
            scene,
            "{name: no-eve, action: deny, because: eve is a stranger,"
            " match: {name: bad__echo, plugin: people.is_eve}}",
        )
        async with open_client(scene, "handshake", attended=False) as client:
            await client.call("bad__echo", {"to": "bob"})
            with pytest.raises(AccessError, match="eve is a stranger"):
                await answer(scene, arguments={"to": "eve"})
            await answer(scene, arguments={"to": "ann"})
            result = await client.call("bad__echo", {"to": "bob"})
        assert result["structuredContent"] == {"to": "ann"}
        assert rules.asked.count({"to": "ann"}) == 2  # when it was edited, and when it was made


async def test_what_the_rule_asks_every_time_cannot_be_granted(empty_store_folder: Path):
    person = Person(says(ANY))
    server = {"config": {"labels": ["destructive"]}}
    async with scene_of(empty_store_folder, approvals=SOON, server=server) as scene:
        write_policy(
            scene, "{name: d, action: ask, every_time: true, match: {labels: [destructive]}}"
        )
        async with open_client(scene, "stateless", person) as client:
            result = await client.call("bad__echo", {})
            assert "waits for" in text(result)  # the form did not offer what it was given
        options = person.asked[0]["requestedSchema"]["properties"]["answer"]["enum"]
        assert options == [ONCE, DENY]
        with pytest.raises(AccessError, match="every time"):
            await answer(scene, grant=GrantTerms(scope="always", expires=60, most=1))


async def test_an_approval_outlives_the_host(empty_store_folder: Path):
    async with (
        scene_of(empty_store_folder, approvals=SOON, child=True) as scene,
        open_client(scene, "stateless", attended=False) as client,
    ):
        first = await client.call("bad__echo", {"text": "hello"})
    async with scene_of(empty_store_folder, approvals=SOON, child=True) as scene:
        approval = await answer(scene)
        assert approval.id in text(first)
        _approval, arguments = await scene.host.inbox.show(approval.id)
        assert arguments == {"text": "hello"}
    async with scene_of(empty_store_folder, approvals=SOON, child=True) as scene:
        async with open_client(scene, "stateless", attended=False) as client:
            result = await client.call("bad__echo", {"text": "hello"})
            assert result["structuredContent"] == {"text": "hello"}
        with pytest.raises(AccessError, match="consumed already"):
            await scene.host.inbox.answer(
                approval.id,
                Answer(approve=True, by=TERMINAL, channel="cli", digest=approval.digest),
            )


@pytest.mark.parametrize("kind", ERAS)
async def test_the_same_call_made_twice_at_once_needs_two_answers(
    empty_store_folder: Path, kind: str
):
    async with scene_of(empty_store_folder) as scene:
        async with open_client(scene, kind, attended=False) as client:
            calls = [asyncio.ensure_future(client.call("bad__echo", {})) for _ in range(2)]
            first = await answer(scene)
            second = await one_waiting(scene)
            assert second.id != first.id
            await scene.host.inbox.answer(
                second.id,
                Answer(approve=False, by=TERMINAL, channel="cli", digest=second.digest),
            )
            results = [await call for call in calls]
        assert sorted("isError" in result for result in results) == [False, True]
        assert len(scene.server().values("tools/call")) == 1


@pytest.mark.parametrize("era", ERAS)
async def test_a_servers_wish_to_use_the_clients_model_is_asked_about(
    empty_store_folder: Path, era: str
):
    person = Person(says(ONCE), says(ONCE))
    async with scene_of(empty_store_folder, era=era) as scene:
        async with open_client(scene, "handshake", person) as client:
            await client.call("bad__sample")
        assert len(person.asked) == 2
        assert "The server bad wants to use the model" in person.asked[1]["message"]
        rows = await scene.host.inbox.approvals(every=True)
        assert [(row.name, row.outcome) for row in rows] == [
            ("bad__sample", "ok"),
            ("bad:sampling/createMessage", "ok"),
        ]


async def test_a_grant_is_listed_no_longer_once_its_tool_has_changed(empty_store_folder: Path):
    tool: Json = {"name": "read", "description": "Reads.", "inputSchema": {"type": "object"}}
    server: Json = {"extra": [tool], "config": {"trust": "auto"}}
    shutil.rmtree(empty_store_folder / "pins", ignore_errors=True)
    async with scene_of(empty_store_folder, approvals=SOON, server=server) as scene:
        async with open_client(scene, "stateless", attended=False) as client:
            await client.call("bad__read", {})
            await answer(scene, grant=GrantTerms(scope="always", exact=False))
            assert "isError" not in await client.call("bad__read", {})
            [grant] = await scene.host.inbox.grants()
            scene.server().tools[-1] = {**tool, "description": "Reads and mails."}
            await scene.host.servers["bad"].restart()
            assert "has changed since it was accepted" in text(await client.call("bad__read", {}))
            with anyio.fail_after(60):
                while await scene.host.inbox.grants():  # noqa: ASYNC110 - it is done beside the call
                    await anyio.sleep(0.01)
        revoked = [one for one in scene.entries() if one.get("name") == "grant.revoked"]
        assert [one["detail"]["id"] for one in revoked] == [grant.id]
