"""Approvals and grants under answers, expiry, edits, revocation and restarts that race each other.

Two processes share one database. Whatever happens at once: an approval lets one call through, and
none without a yes that counted; a grant lets through what was given and no more.
"""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from host.approvals.approval import Approval, Pass
from host.approvals.grant import GrantTerms
from host.approvals.table import Runner
from host.config.approvals import ApprovalsConfig
from host.domain.errors import AccessError, DeniedError, NotFoundError, OutcomeUnknownError
from host.domain.principal import Principal
from tests.approvals.desks import BOSS, Office, call, open_office

NUMBERS = st.integers(0, 2)
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


class Approvals(RuleBasedStateMachine):
    """What may happen, and what is known of it."""

    portal: BlockingPortal
    first: Office

    def __init__(self) -> None:
        super().__init__()
        self.user = Principal(f"user-{next(USERS)}", "ide")
        self.boots = itertools.count()
        self.offices = [self.boot(0), self.boot(1)]
        self.approved: dict[str, int | None] = {}
        """Approvals with a yes that counted → the number in the edited arguments, if any."""
        self.refused: set[str] = set()
        self.passed: list[tuple[int, Pass, int]] = []
        """What was let through: the number asked for, by what, in which process."""
        self.given: dict[str, int] = {}
        """Grants → most uses."""
        self.revoked_after: dict[str, int] = {}
        """Grants → uses when their revocation was done."""

    def boot(self, place: int) -> Office:
        runner = Runner(f"{self.user.user}-{place}", str(next(self.boots)))
        config = ApprovalsConfig(wait=0, progress=1)
        notes = self.first.notes
        return Office(
            self.first.store, self.first.sealer, runner=runner, config=config, notes=notes
        )

    def call(self, number: int) -> Any:
        return call(caller=self.user, arguments={"n": number})

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

    @rule(number=NUMBERS, count=st.integers(1, 3))
    def calls_are_made(self, number: int, count: int) -> None:
        self.try_at_once(number, count)

    def answers(self, approval: Approval, *doing: tuple[int, bool, dict[str, Any]]) -> list[Doing]:
        return [
            partial(self.offices[place].answer, approval, approve=approve, **more)
            for place, approve, more in doing
        ]

    def keep(self, approval: Approval, results: list[Any], given: list[tuple[bool, Any]]) -> None:
        """Keep which of some answers counted: one at most."""
        counted = [
            said
            for said, result in zip(given, results, strict=True)
            if isinstance(result, Approval)
        ]
        assert len(counted) <= 1
        for approve, edited in counted:
            assert approval.id not in self.approved
            assert approval.id not in self.refused
            if approve:
                self.approved[approval.id] = edited
            else:
                self.refused.add(approval.id)

    @rule(number=NUMBERS, first=st.booleans(), second=st.booleans(), edited=st.booleans())
    def two_channels_answer_at_once(
        self, number: int, *, first: bool, second: bool, edited: bool
    ) -> None:
        approval = self.pending(number)
        if approval is None:
            return
        more = {"arguments": {"n": number + 100}} if first and edited else {}
        doing = self.answers(approval, (0, first, more), (1, second, {}))
        results = self.race(*doing)
        assert sum(isinstance(result, Approval) for result in results) == 1
        changed = number + 100 if more else None
        self.keep(approval, results, [(first, changed), (second, None)])

    @rule(number=NUMBERS, count=st.integers(2, 4))
    def an_approved_call_is_made_several_times_at_once(self, number: int, count: int) -> None:
        approval = self.pending(number)
        if approval is None:
            return
        results = self.race(*self.answers(approval, (1, True, {})))
        self.keep(approval, results, [(True, None)])
        self.calls_are_made(number, count)

    @rule(number=NUMBERS, approve=st.booleans())
    def an_answer_races_the_call_and_the_expiry(self, number: int, *, approve: bool) -> None:
        approval = self.pending(number)
        if approval is None:
            return

        async def run_out() -> None:
            async with self.first.store.transaction(BOSS) as database:
                await database.execute(
                    "update host.approvals set expires = clock_timestamp() where id = %s"
                    " and state in ('pending', 'approved')",
                    [approval.id],
                )

        [answer] = self.answers(approval, (0, approve, {}))
        results = self.race(answer, run_out, partial(self.attempt, 1, number))
        self.keep(approval, results[:1], [(approve, None)])

    @rule(number=NUMBERS, place=PROCESSES)
    def an_answer_races_a_withdrawal(self, number: int, place: int) -> None:
        approval = self.pending(number)
        if approval is None:
            return
        inbox = self.offices[1 - place].inbox
        [answer] = self.answers(approval, (place, True, {}))
        results = self.race(answer, partial(inbox.withdraw, approval.id, reason="no more"))
        if isinstance(results[0], Approval) and results[1] is None:
            self.keep(approval, results[:1], [(True, None)])
        else:  # whatever was said first, it was taken back
            self.refused.add(approval.id)

    @rule(number=NUMBERS, most=st.integers(1, 3), exact=st.booleans())
    def a_grant_is_given(self, number: int, most: int, *, exact: bool) -> None:
        approval = self.pending(number)
        if approval is None:
            return
        terms = GrantTerms(scope="always", exact=exact, expires=600, most=most)
        [answer] = self.answers(approval, (0, True, {"grant": terms}))
        results = self.race(answer)
        self.keep(approval, results, [(True, None)])
        if isinstance(results[0], Approval):
            for grant in self.portal.call(self.offices[0].inbox.grants):
                if grant.approval == approval.id:
                    self.given[grant.id] = most

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

    @rule(place=PROCESSES)
    def a_process_is_killed_and_starts_again(self, place: int) -> None:
        self.offices[place] = self.boot(place)

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
            edited = self.approved.get(passed.approval or "")
            assert passed.arguments == {"n": number if edited is None else edited}

    @invariant()
    def a_grant_is_used_as_often_as_was_given_and_never_once_revoked(self) -> None:
        for grant, count in self.uses().items():
            assert count <= self.given[grant]
            assert count <= self.revoked_after.get(grant, count)

    @invariant()
    def the_rows_say_the_same(self) -> None:
        rows = self.portal.call(self._rows)
        used = {one.approval for _n, one, _place in self.passed if one.approval}
        assert {row.id for row in rows if row.state in ("consumed", "unknown")} == used

    async def _rows(self) -> list[Approval]:
        rows = await self.offices[0].inbox.approvals(every=True, most=10_000)
        return [row for row in rows if row.user == self.user.user]


@contextmanager
def portal_and_office(folder: Path) -> Generator[tuple[BlockingPortal, Office]]:
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(open_office(folder)) as office,
    ):
        yield portal, office


def test_at_most_once_and_never_without_a_valid_decision(empty_store_folder: Path):
    with portal_and_office(empty_store_folder) as (portal, office):
        Approvals.portal, Approvals.first = portal, office
        run_state_machine_as_test(
            Approvals,
            settings=settings(
                max_examples=20,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )
        # Each way was really gone; what holds on the way is checked at each step.
        reached = {name for _, name, _ in office.notes}
        ways = ("asked", "approved", "denied", "withdrawn", "expired", "used")
        assert reached >= {f"approval.{way}" for way in ways}
        assert reached >= {"grant.given", "grant.used", "grant.revoked"}
