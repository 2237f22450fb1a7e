"""Calls that a rule asks about, through the gateway, in both eras."""

import asyncio
from pathlib import Path

import pytest

from host.app import TERMINAL
from host.approvals.approval import Answer, Approval
from host.approvals.elicitation import DENY, ONCE
from host.domain.errors import AccessError
from host.domain.jsonrpc import RpcError
from host.domain.principal import Principal
from tests.fakes.misbehaviour import Json
from tests.fakes.raw_client import ALL
from tests.gateway.approvals.scenes import (
    ERAS,
    PATIENT,
    SOON,
    Person,
    answer,
    first_question,
    intents,
    notes,
    one_waiting,
    open_client,
    retry,
    says,
    scene_of,
    text,
    token,
    write_policy,
)

pytestmark = pytest.mark.anyio


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
