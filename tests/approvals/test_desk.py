from pathlib import Path
from typing import Any

import anyio
import pytest

from host.approvals.approval import Answer, Approval, Pass
from host.approvals.grant import GrantTerms
from host.approvals.table import Runner
from host.config.approvals import ApprovalsConfig
from host.domain.errors import (
    AccessError,
    ApprovalPendingError,
    DeniedError,
    NotFoundError,
    OutcomeUnknownError,
)
from host.domain.principal import Principal
from host.storage.store import Store
from tests.approvals.desks import BOB, BOSS, Office, call, open_office

pytestmark = pytest.mark.anyio


async def asked(office: Office, **fields: Any) -> Approval:
    found = await office.desk.ask(call(**fields))
    assert isinstance(found, Approval)
    return found


async def run_sql(store: Store, text: str, *values: object) -> None:
    async with store.transaction(BOSS) as database:
        await database.execute(text.encode(), values)


async def test_the_arguments_are_kept_sealed_until_they_are_used_and_then_not_at_all(
    empty_store_folder: Path,
):
    async with open_office(empty_store_folder) as office:
        approval = await asked(office, arguments={"to": "a secret"})
        async with office.store.transaction(BOSS) as database:
            before = await (await database.execute("select * from host.approvals")).fetchone()
        assert before is not None
        assert "a secret" not in str(before)
        assert (await office.inbox.show(approval.id))[1] == {"to": "a secret"}
        await office.answer(approval)
        passed = await office.desk.admit(call(arguments={"to": "a secret"}))
        assert passed.arguments == {"to": "a secret"}
        async with office.store.transaction(BOSS) as database:
            after = await (await database.execute("select * from host.approvals")).fetchone()
        assert after is not None
        assert after["sealed"] is None
        assert (await office.inbox.show(approval.id))[1] is None


async def test_nobodys_answer_in_time_is_a_no(empty_store_folder: Path):
    config = ApprovalsConfig(wait=60, progress=1, expires=0.05)
    async with open_office(empty_store_folder, config=config) as office:
        with pytest.raises(DeniedError, match="Nobody approved"):
            await office.desk.admit(call())
        assert [name for _, name, _ in office.notes] == ["approval.asked", "approval.expired"]


async def test_an_expiry_is_recorded_once_although_nobody_looks(empty_store_folder: Path):
    config = ApprovalsConfig(wait=0, expires=0.05, resume=0.05)
    async with open_office(empty_store_folder, config=config) as office:
        async with office.store.transaction(BOSS):  # the database has started
            pass
        approval = await asked(office)
        version = office.board.version
        while "approval.expired" not in [name for _, name, _ in office.notes]:
            version = await office.board.changed(version, limit=60)
        expired = [detail for _, name, detail in office.notes if name == "approval.expired"]
        assert [one["id"] for one in expired] == [approval.id]
        assert (await office.inbox.find(approval.id)).state == "expired"
        assert [name for _, name, _ in office.notes].count("approval.expired") == 1


async def test_an_answer_after_the_expiry_does_not_count(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office:
        approval = await asked(office)
        await run_sql(office.store, "update host.approvals set expires = clock_timestamp()")
        with pytest.raises(AccessError, match="expired already"):
            await office.answer(approval)
        with pytest.raises(
            DeniedError, match=rf"Nobody approved .*{approval.id}.* asked about anew"
        ):
            await office.desk.ask(call())
        again = await asked(office)
        assert again.id != approval.id


async def test_that_nobody_answered_is_told_once_to_a_caller_that_had_waited_before(
    empty_store_folder: Path,
):
    async with open_office(empty_store_folder) as office:
        waited = await asked(office)
        await run_sql(office.store, "update host.approvals set expires = clock_timestamp()")
        with pytest.raises(DeniedError, match=f"Nobody approved .*{waited.id}"):
            await office.desk.admit(call())
        office.board.config = ApprovalsConfig(wait=0)
        with pytest.raises(ApprovalPendingError):
            await office.desk.admit(call())


async def test_an_unknown_outcome_is_told_although_the_same_call_waits_for_an_answer(
    empty_store_folder: Path,
):
    async with open_office(empty_store_folder) as office:
        await office.answer(await asked(office))
        cut_off = await office.desk.admit(call())
        twin = await asked(office)
        after = Office(office.store, office.sealer, runner=Runner("home", "next boot"))
        with pytest.raises(OutcomeUnknownError, match=str(cut_off.approval)):
            await after.desk.ask(call())
        assert (await asked(after)).id == twin.id
        shown = (await after.inbox.find(twin.id)).reasons
        assert f"cut off as {cut_off.approval}" in shown[-1]
        await after.answer(await after.inbox.find(twin.id), approve=False)
        with pytest.raises(DeniedError):
            await after.desk.ask(call())
        assert f"cut off as {cut_off.approval}" in (await asked(after)).reasons[-1]


async def test_a_yes_that_is_not_used_in_time_expires(empty_store_folder: Path):
    config = ApprovalsConfig(wait=0, resume=0.001)
    async with open_office(empty_store_folder, config=config) as office:
        await office.answer(await asked(office))
        with pytest.raises(ApprovalPendingError):
            await office.desk.admit(call())


async def test_a_waiting_call_hears_an_answer_that_another_process_took(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office:
        elsewhere = Office(office.store, office.sealer, runner=Runner("other", "boot"))
        approval = await asked(office)
        passes: list[Pass] = []

        async def wait() -> None:
            passes.append(await office.desk.admit(call()))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await elsewhere.answer(approval)
        assert passes[0].approval == approval.id


async def test_people_see_and_use_their_own_approvals_only(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office:
        approval = await asked(office)
        await office.answer(approval)
        for other in (BOB, Principal("ann", "other")):
            assert (await asked(office, caller=other)).id != approval.id
        async with office.store.transaction(BOB) as database:
            found = await (await database.execute("select user_id from host.approvals")).fetchall()
        assert {row["user_id"] for row in found} == {"bob"}
        with pytest.raises(NotFoundError):
            await office.inbox.find("a-nothing")


async def test_an_answer_names_the_digest_that_was_seen(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office:
        first = await asked(office)
        second = await asked(office, arguments={"to": "eve"})
        with pytest.raises(AccessError, match="another call"):
            await office.inbox.answer(second.id, _yes(first))


def _yes(approval: Approval):
    return Answer(approve=True, by=BOSS, channel="cli", digest=approval.digest)


async def test_a_restart_makes_a_call_without_an_outcome_unknown_and_tells_its_caller_once(
    empty_store_folder: Path,
):
    async with open_office(empty_store_folder) as office:
        await office.answer(await asked(office))
        passed = await office.desk.admit(call())
        done = await asked(office, arguments={"to": "done"})
        await office.answer(done)
        finished = await office.desk.admit(call(arguments={"to": "done"}))
        await office.desk.finish(finished, "ok")
        after = Office(office.store, office.sealer, runner=Runner("home", "next boot"))
        stranger = Office(office.store, office.sealer, runner=Runner("other", "boot"))
        assert [one.state for one in await stranger.inbox.approvals(every=True)] == [
            "consumed",
            "consumed",
        ]
        with pytest.raises(OutcomeUnknownError, match=str(passed.approval)):
            await after.desk.admit(call())
        assert (await asked(after)).id != passed.approval
        assert after.notes[0][1] == "approval.unknown"
        assert (await after.inbox.find(done.id)).state == "consumed"


async def test_a_yes_counts_only_if_the_rule_still_takes_its_givers_word(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office:
        approval = await asked(office)
        await office.answer(approval)
        boss_only = call(approvers=(frozenset({"user:boss"}),))
        with pytest.raises(DeniedError, match="somebody else's word"):
            await office.desk.admit(boss_only)
        assert (await office.inbox.find(approval.id)).state == "withdrawn"


async def test_a_denial_is_told_once_to_a_caller_that_did_not_wait(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office:
        approval = await asked(office)
        await office.answer(approval, approve=False, reason="no mail today")
        with pytest.raises(DeniedError, match="no mail today"):
            await office.desk.admit(call())
        assert (await asked(office)).id != approval.id


async def test_a_grant_dies_with_the_definition_it_was_given_for(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office:
        terms = GrantTerms(scope="always", exact=False)
        await office.answer(await asked(office), grant=terms)
        await office.desk.admit(call())
        assert isinstance(await office.desk.ask(call(arguments={"to": "eve"})), Pass)
        waiting = await asked(office, definition="d2")
        assert await office.inbox.forget_definitions({"d1", "d0"}, reason="It changed.") == 1
        assert await office.inbox.grants() == []
        assert isinstance(await office.desk.ask(call(arguments={"to": "eve"})), Approval)
        assert (await office.inbox.find(waiting.id)).state == "pending"


async def test_a_grant_of_an_agent_is_that_agents_only(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office:
        approval = await asked(office, agent="clerk")
        await office.answer(approval, grant=GrantTerms(scope="agent", exact=True))
        await office.desk.admit(call(agent="clerk"))
        assert isinstance(await office.desk.ask(call(agent="clerk", session="s2")), Pass)
        assert isinstance(await office.desk.ask(call(agent="thief")), Approval)
        assert isinstance(await office.desk.ask(call()), Approval)


@pytest.mark.parametrize(
    "terms",
    [
        GrantTerms(scope="always", exact=False, expires=60, most=3),
        GrantTerms(scope="always", exact=True, most=3),
        GrantTerms(scope="always", exact=True, expires=60),
    ],
)
async def test_what_destroys_is_granted_with_constraint_expiry_and_count_only(
    empty_store_folder: Path, terms: GrantTerms
):
    async with open_office(empty_store_folder) as office:
        approval = await asked(office, destructive=True)
        with pytest.raises(AccessError, match="destroy"):
            await office.answer(approval, grant=terms)
        bounded = GrantTerms(scope="always", exact=True, expires=60, most=1)
        await office.answer(approval, grant=bounded)
        await office.desk.admit(call(destructive=True))
        assert isinstance(await office.desk.ask(call(destructive=True)), Pass)
        assert isinstance(await office.desk.ask(call(destructive=True)), Approval)


async def test_a_tool_that_has_become_destructive_is_not_answered_by_an_older_grant(
    empty_store_folder: Path,
):
    async with open_office(empty_store_folder) as office:
        terms = GrantTerms(scope="always", exact=True, expires=60, most=9)
        await office.answer(await asked(office), grant=terms)
        await office.desk.admit(call())
        assert isinstance(await office.desk.ask(call(destructive=True)), Approval)
        assert isinstance(await office.desk.ask(call(every_time=True)), Approval)
        assert isinstance(
            await office.desk.ask(call(approvers=(frozenset({"user:boss"}),))), Approval
        )


async def test_a_revoked_grant_answers_nothing_more(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office:
        await office.answer(await asked(office), grant=GrantTerms(scope="always"))
        await office.desk.admit(call())
        [grant] = await office.inbox.grants()
        await office.inbox.revoke_grant(grant.id, by=BOSS)
        assert isinstance(await office.desk.ask(call()), Approval)
        with pytest.raises(NotFoundError):
            await office.inbox.revoke_grant(grant.id, by=BOSS)


async def test_the_last_use_of_a_grant_is_taken_by_one_of_many_calls_at_once(
    empty_store_folder: Path,
):
    async with open_office(empty_store_folder) as office:
        terms = GrantTerms(scope="always", exact=False, most=5)
        await office.answer(await asked(office), grant=terms)
        await office.desk.admit(call())
        found: list[Pass | Approval] = []

        async def ask(number: int) -> None:
            found.append(await office.desk.ask(call(arguments={"n": number})))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(ask, number)
        assert sum(isinstance(one, Pass) for one in found) == 5
