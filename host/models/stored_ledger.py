"""What was spent on models, in the store: budgets hold for all processes together."""

import asyncio
import contextlib
from dataclasses import dataclass

from typing_extensions import override

from host.domain.errors import StoreError
from host.domain.wait import unbroken
from host.models.budget import Expense, Ledger, Limits, Overdrawn, Scope, overdrawn, sum_key
from host.storage.store import Database, Store

HOLD = 900
"""Seconds for which an amount is kept for a request that nobody ends: its process died."""
_TODAY = "(now() at time zone 'utc')::date"
_ONCE = "date 'epoch'"
"""The day of a run's sum, which goes on after midnight."""
_LOCK = "select pg_advisory_xact_lock(hashtextextended(%s, 7241))"
"""One reservation at a time for each sum; 7241 keeps the keys apart from other locks'."""
_SPENT = f"""
select coalesce((
    select cost from host.model_expenses where kind = %s and name = %s
        and day = case when %s = 'run' then {_ONCE} else {_TODAY} end
), 0) as spent, coalesce((
    select sum(cost) from host.model_reservations
    where until > now() and case %s when 'run' then run = %s when 'user' then user_name = %s
        else true end
), 0) as held
"""  # noqa: S608 - constants
_KEEP = """
insert into host.model_reservations (run, user_name, cost, until)
values (%s, %s, %s, now() + %s * interval '1 second') returning id
"""
_FREE = "delete from host.model_reservations where id = %s or until < now()"
_BOOK = f"""
insert into host.model_expenses as e
select kind, name, day, %s, 1, %s, %s from (values
    ('run', %s, {_ONCE}), ('day', '', {_TODAY}), ('user', %s, {_TODAY}), ('model', %s, {_TODAY})
) as sums (kind, name, day)
on conflict (kind, name, day) do update set
    cost = e.cost + excluded.cost, requests = e.requests + 1,
    input_tokens = e.input_tokens + excluded.input_tokens,
    output_tokens = e.output_tokens + excluded.output_tokens
"""  # noqa: S608 - constants
_SUMS = f"""
select kind, case kind when 'day' then '' else name end as name, day::text as day, cost, requests,
    input_tokens, output_tokens
from host.model_expenses where kind <> 'run' and day > {_TODAY} - %s::int
order by day desc, kind, cost desc, name
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Sum:
    """What was spent in a day (UTC) in all, by one user, or on one model.

    Attributes:
        kind: `day`, `user` or `model`.
        name: Whose; empty for the day.
        cost: US dollars.
    """

    kind: str
    name: str
    day: str
    cost: float
    requests: int
    input_tokens: int
    output_tokens: int


async def read_sums(store: Store, days: int) -> list[Sum]:
    """Return what was spent in the last days, today first."""
    async with store.transaction() as database:
        rows = await (await database.execute(_SUMS, [days])).fetchall()
    return [Sum(**row) for row in rows]


class StoredLedger(Ledger):
    """Sums by run, day, user and model in PostgreSQL.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @override
    async def reserve(self, scope: Scope, cost: float, limits: Limits) -> int | Overdrawn:
        """Keep an amount if that stays within all limits, one request after the other."""
        number: int | None = None
        try:
            async with self._store.transaction() as database:
                await _lock(database, scope, limits)
                for kind, limit in limits.items():
                    _, name = sum_key(kind, scope)
                    values = [kind, name, kind, kind, name, name]
                    row = await (await database.execute(_SPENT, values)).fetchone() or {}
                    spent, held = float(row["spent"]), float(row["held"])
                    if over := overdrawn(kind, limit, spent=spent, held=held, cost=cost):
                        return over
                number = await _keep(database, scope, cost)
                return number  # noqa: RET504 - it is looked at below
        except asyncio.CancelledError:
            if number is not None:  # it may be committed all the same
                await unbroken(self._forget(scope, number, limits))
            raise

    async def _forget(self, scope: Scope, number: int, limits: Limits) -> None:
        """Free what was kept for a request that will not be made."""
        with contextlib.suppress(StoreError):
            async with self._store.transaction() as database:
                await _lock(database, scope, limits)  # its reservation has ended by then
                await database.execute(_FREE, [number])

    @override
    async def settle(self, scope: Scope, number: int | None, expense: Expense | None) -> None:
        """Free what was kept and add a reply to all its sums, in one transaction."""
        async with self._store.transaction() as database:
            if number is not None:
                await database.execute(_FREE, [number])
            if expense is not None:
                await _book(database, scope, expense)


async def _lock(database: Database, scope: Scope, limits: Limits) -> None:
    for kind in limits:  # in the same order everywhere, so that nobody waits in a circle
        await database.execute(_LOCK, ["/".join(sum_key(kind, scope))])


async def _keep(database: Database, scope: Scope, cost: float) -> int:
    kept = await database.execute(_KEEP, [scope.run, scope.user, cost, HOLD])
    return int((await kept.fetchone() or {})["id"])


async def _book(database: Database, scope: Scope, expense: Expense) -> None:
    tokens = [expense.input_tokens, expense.output_tokens]
    names = [scope.run, scope.user, str(expense.model)]
    await database.execute(_BOOK, [expense.cost or 0.0, *tokens, *names])
