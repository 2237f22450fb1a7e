"""Approvals and grants under answers, expiry, edits, revocation and restarts that race each other.

Two processes share one database. Whatever happens at once: an approval lets one call through, and
none without a yes that counted; a grant lets through what was given and no more.
"""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from host.approvals.approval import Approval, Pass
from host.approvals.call import AskedCall
from host.approvals.grant import GrantTerms
from host.approvals.table import Runner
from host.config.approvals import ApprovalsConfig
from host.domain.errors import AccessError, DeniedError, NotFoundError, OutcomeUnknownError
from host.domain.principal import Principal
from host.gateway.constraint import check_matchers
from host.gateway.context import describe_attempt
from host.gateway.gate import Gate
from host.policy.attempt import Attempt
from host.policy.limit import MemoryCounters
from host.policy.live import LivePolicy
from host.policy.policy_set import PolicySet
from host.policy.source import Found, read_source
from host.taint.store import TaintStore
from tests.approvals.desks import BOSS, Office

NUMBERS = st.integers(0, 2)
EDITS = st.sampled_from([None, 50, 150, 250])
PROCESSES = st.integers(0, 1)
USERS = itertools.count()


Doing = Callable[[], Awaitable[Any]]


async def at_once(doing: Sequence[Doing]) -> list[Any]:
    """Do things at the same time, and return what came of each: a value or an error of the host."""
    results: list[Any] = [None] * len(doing)

    async def do(place: int, one: Doing) -> None:
        try:
            results[place] = await one()
        except (AccessError, DeniedError, NotFoundError, OutcomeUnknownError) as error:
            results[place] = error

    async with anyio.create_task_group() as group:
        for place, one in enumerate(doing):
            group.start_soon(do, place, one)
    return results


POLICY = """
default: ask
rules:
  - {name: often, action: ask, every_time: true, match: {arguments: {/n: {in: [0]}}}}
  - {name: boss, action: ask, approvers: ["role:admin"], match: {arguments: {/n: {in: [2]}}}}
  - name: large
    action: ask
    approvers: ["role:admin"]
    match: {arguments: {/n: {range: {min: 100}}}}
  - {name: none, action: deny, match: {arguments: {/n: {range: {min: 200}}}}}
"""
"""0 is asked about every time, 2 and what is large by an admin only, and too much is denied."""


def open_gate(folder: Path) -> tuple[Gate, PolicySet]:
    """Return what judges in a host, over a policy of its own."""
    file = folder / "policy.yaml"
    file.write_text(POLICY)
    live = LivePolicy(lambda: Found((read_source(file, level="user"),), (), {}))
    taint = TaintStore(folder / "taint")
    return Gate(lambda _folder, _files: live, MemoryCounters(), taint=taint), live.current


@dataclass(frozen=True)
class Said:
    """An answer: whose, what, and the number that is put in the place of the call's."""

    approve: bool
    by: Principal = BOSS
    edited: int | None = None

    def counts(self, number: int) -> bool:
        """Whether the policy lets it count for a call with a number."""
        admin = self.by.role == "admin"
        if number == 2 and not admin:
            return False
        if not self.approve or self.edited is None:
            return True
        return self.edited < 200 and (admin or self.edited < 100)


class Approvals(RuleBasedStateMachine):
    """What may happen, and what is known of it."""

    portal: BlockingPortal
    first: Office
    gate: Gate
    policy: PolicySet

    def __init__(self) -> None:
        super().__init__()
        self.user = Principal(f"user-{next(USERS)}", "ide", attended=True)
        self.boots = itertools.count()
        self.offices = [self.boot(0), self.boot(1)]
        self.approved: dict[str, Said] = {}
        """Approvals with a yes that counted."""
        self.refused: set[str] = set()
        self.passed: list[tuple[int, Pass, int]] = []
        """What was let through: the number asked for, by what, in which process."""
        self.given: dict[str, tuple[int, frozenset[int]]] = {}
        """Grants → most uses, and the numbers that they are for."""
        self.revoked_after: dict[str, int] = {}
        """Grants → uses when their revocation was done."""

    def boot(self, place: int) -> Office:
        runner = Runner(f"{self.user.user}-{place}", str(next(self.boots)))
        config = ApprovalsConfig(wait=0, progress=1)
        notes = self.first.notes
        office = Office(
            self.first.store, self.first.sealer, runner=runner, config=config, notes=notes
        )
        office.board.judge, office.board.matches = self.gate.judge_edit, self.gate.holds
        office.board.check_matchers = check_matchers
        return office

    def call(self, number: int) -> AskedCall:
        """Return a call as the gateway brings it, with what the policy says of it."""
        tried = Attempt(
            method="tools/call",
            name="mail__send",
            principal=self.user,
            server="mail",
            tool="send",
            arguments={"n": number},
            session="s1",
            now=datetime.now(UTC),
        )
        decision = self.policy.decide(tried)
        return AskedCall(
            principal=self.user,
            method=tried.method,
            name=tried.name,
            arguments={"n": number},
            definition="d1",
            session="s1",
            rule=decision.rule,
            reasons=decision.reasons,
            approvers=decision.approvers,
            every_time=decision.every_time,
            context=describe_attempt(tried),
        )

    async def attempt(self, place: int, number: int) -> Pass | Approval | None:
        """Make a call as the gateway would, and keep what let it through."""
        desk = self.offices[place].desk
        found = await desk.ask(self.call(number))
        if isinstance(found, Approval) and found.state == "approved":
            found = await desk.settle(found, self.call(number))
        if isinstance(found, Pass):
            self.passed.append((number, found, place))
        return found

    def try_at_once(self, number: int, count: int) -> None:
        self.race(*[partial(self.attempt, n % 2, number) for n in range(count)])

    def race(self, *doing: Doing) -> list[Any]:
        return self.portal.call(at_once, doing)

    def pending(self, number: int) -> Approval | None:
        digest = self.call(number).digest
        for one in self.portal.call(self.offices[0].inbox.approvals):
            if one.digest == digest and one.state == "pending":
                return one
        return None

    def asked(self, number: int) -> Approval | None:
        """Return what waits for an answer, after a call where nothing does."""
        waiting = self.pending(number)
        if waiting is None:
            self.try_at_once(number, 1)
        return waiting or self.pending(number)

    @rule(number=NUMBERS, count=st.integers(1, 3))
    def calls_are_made(self, number: int, count: int) -> None:
        self.try_at_once(number, count)

    def answers(self, approval: Approval, *doing: tuple[int, Said]) -> list[Doing]:
        found: list[Doing] = []
        for place, said in doing:
            more: dict[str, Any] = {}
            if said.approve and said.edited is not None:
                more["arguments"] = {"n": said.edited}
            answer = self.offices[place].answer
            found.append(partial(answer, approval, approve=said.approve, by=said.by, **more))
        return found

    def keep(self, approval: Approval, results: list[Any], given: list[Said]) -> None:
        """Keep which of some answers counted: one at most."""
        counted = [
            said
            for said, result in zip(given, results, strict=True)
            if isinstance(result, Approval)
        ]
        assert len(counted) <= 1
        for said in counted:
            assert approval.id not in self.approved
            assert approval.id not in self.refused
            if said.approve:
                self.approved[approval.id] = said
            else:
                self.refused.add(approval.id)

    @rule(number=NUMBERS, first=st.booleans(), second=st.booleans(), edit=EDITS, own=st.booleans())
    def two_channels_answer_at_once(
        self, number: int, edit: int | None, *, first: bool, second: bool, own: bool
    ) -> None:
        approval = self.asked(number)
        if approval is None:
            return
        given = [
            Said(first, self.user if own else BOSS, edit if first else None),
            Said(second),
        ]
        results = self.race(*self.answers(approval, *enumerate(given)))
        assert sum(isinstance(result, Approval) for result in results) == 1
        for said, result in zip(given, results, strict=True):
            assert said.counts(number) or not isinstance(result, Approval)
        self.keep(approval, results, given)

    @rule(number=NUMBERS, count=st.integers(2, 4))
    def an_approved_call_is_made_several_times_at_once(self, number: int, count: int) -> None:
        approval = self.pending(number)
        if approval is None:
            return
        results = self.race(*self.answers(approval, (1, Said(True))))
        self.keep(approval, results, [Said(True)])
        self.calls_are_made(number, count)

    @rule(number=NUMBERS, approve=st.booleans())
    def an_answer_races_the_call_and_the_expiry(self, number: int, *, approve: bool) -> None:
        approval = self.asked(number)
        if approval is None:
            return

        async def run_out() -> None:
            async with self.first.store.transaction(BOSS) as database:
                await database.execute(
                    "update host.approvals set expires = clock_timestamp() where id = %s"
                    " and state in ('pending', 'approved')",
                    [approval.id],
                )

        [answer] = self.answers(approval, (0, Said(approve)))
        results = self.race(answer, run_out, partial(self.attempt, 1, number))
        self.keep(approval, results[:1], [Said(approve)])

    @rule(number=NUMBERS, place=PROCESSES)
    def an_answer_races_a_withdrawal(self, number: int, place: int) -> None:
        approval = self.asked(number)
        if approval is None:
            return
        inbox = self.offices[1 - place].inbox
        [answer] = self.answers(approval, (place, Said(True)))
        results = self.race(answer, partial(inbox.withdraw, approval.id, reason="no more"))
        if isinstance(results[0], Approval) and results[1] is None:
            self.keep(approval, results[:1], [Said(True)])
        else:  # whatever was said first, it was taken back
            self.refused.add(approval.id)

    @rule(number=NUMBERS, most=st.integers(1, 3), kind=st.sampled_from(["exact", "any", "small"]))
    def a_grant_is_given(self, number: int, most: int, kind: str) -> None:
        approval = self.asked(number)
        if approval is None:
            return
        small = {"/n": {"range": {"max": 1}}} if kind == "small" else None
        terms = GrantTerms(
            scope="always", exact=kind == "exact", matchers=small, expires=600, most=most
        )
        answer = partial(self.offices[0].answer, approval, grant=terms)
        results = self.race(answer)
        assert isinstance(results[0], Approval) == (number != 0)  # which is asked every time
        self.keep(approval, results, [Said(True)])
        numbers = {"exact": {number}, "any": {0, 1, 2}, "small": {0, 1}}[kind]
        for grant in self.portal.call(self.offices[0].inbox.grants):
            if grant.approval == approval.id:
                self.given[grant.id] = (most, frozenset(numbers))

    @rule(number=NUMBERS)
    def a_revocation_races_calls(self, number: int) -> None:
        grants = self.portal.call(self.offices[0].inbox.grants)
        mine = [grant for grant in grants if grant.user == self.user.user]
        if not mine:
            return
        inbox = self.offices[0].inbox

        async def revoke() -> None:
            await inbox.revoke_grant(mine[0].id, by=BOSS)

        self.race(revoke, *[partial(self.attempt, place, number) for place in (0, 1)])
        self.revoked_after[mine[0].id] = self.uses()[mine[0].id]

    @rule(place=PROCESSES)
    def a_process_ends_its_calls(self, place: int) -> None:
        for _number, passed, where in self.passed:
            if where == place:
                self.portal.call(self.offices[place].desk.finish, passed, "ok")

    @rule(place=PROCESSES, number=NUMBERS)
    def a_process_is_killed_and_starts_again(self, place: int, number: int) -> None:
        self.offices[place] = self.boot(place)
        cut_off = self.unknown(number)
        try:
            found = self.portal.call(self.attempt, place, number)
        except OutcomeUnknownError:
            return
        except DeniedError:
            found = None
        # What was cut off is told before anything else becomes of the same call.
        assert found is None or not (self.unknown(number) - cut_off)

    def unknown(self, number: int) -> set[str]:
        digest = self.call(number).digest
        rows = self.portal.call(self._rows)
        return {row.id for row in rows if row.digest == digest and row.state == "unknown"}

    def uses(self) -> Counter[str]:
        return Counter(passed.grant for _n, passed, _place in self.passed if passed.grant)

    @invariant()
    def an_approval_lets_one_call_through_and_none_without_a_yes(self) -> None:
        used = Counter(one.approval for _n, one, _place in self.passed if one.approval)
        assert all(count == 1 for count in used.values())
        assert set(used) <= set(self.approved)
        assert not set(used) & self.refused

    @invariant()
    def what_is_sent_is_what_was_approved(self) -> None:
        for number, passed, _place in self.passed:
            said = self.approved.get(passed.approval or "")
            edited = None if said is None else said.edited
            assert passed.arguments == {"n": number if edited is None else edited}

    @invariant()
    def nobody_approves_what_the_policy_keeps_for_others_or_forbids(self) -> None:
        for number, passed, _place in self.passed:
            if passed.approval is not None:
                assert self.approved[passed.approval].counts(number)

    @invariant()
    def a_grant_answers_only_what_it_is_for_and_nothing_that_is_asked_every_time(self) -> None:
        for number, passed, _place in self.passed:
            if passed.grant is not None:
                assert number in self.given[passed.grant][1]
                assert number != 0

    @invariant()
    def a_grant_is_used_as_often_as_was_given_and_never_once_revoked(self) -> None:
        for grant, count in self.uses().items():
            assert count <= self.given[grant][0]
            assert count <= self.revoked_after.get(grant, count)

    @invariant()
    def the_rows_say_the_same(self) -> None:
        rows = self.portal.call(self._rows)
        used = {one.approval for _n, one, _place in self.passed if one.approval}
        assert {row.id for row in rows if row.state in ("consumed", "unknown")} == used

    async def _rows(self) -> list[Approval]:
        rows = await self.offices[0].inbox.approvals(every=True, most=10_000)
        return [row for row in rows if row.user == self.user.user]
