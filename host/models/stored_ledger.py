"""What was spent on models, in the store: budgets hold for all processes together."""

from typing_extensions import override

from host.models.budget import Expense, Ledger, Scope, Spent
from host.storage.store import Store

_TODAY = "(now() at time zone 'utc')::date"
_ONCE = "date 'epoch'"
"""The day of a run's sum, which goes on after midnight."""


class StoredLedger(Ledger):
    """Sums by run, day, user and model in PostgreSQL.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @override
    async def spent(self, scope: Scope) -> Spent:
        """Return what all processes have spent."""
        async with self._store.transaction() as database:
            cursor = await database.execute(
                "select kind, cost from host.model_expenses where "  # noqa: S608 - constants
                f"(kind = 'run' and name = %s and day = {_ONCE}) or "
                f"(kind = 'day' and name = '' and day = {_TODAY}) or "
                f"(kind = 'user' and name = %s and day = {_TODAY})",
                [scope.run, scope.user],
            )
            sums = {row["kind"]: float(row["cost"]) for row in await cursor.fetchall()}
        return Spent(sums.get("run", 0.0), sums.get("day", 0.0), sums.get("user", 0.0))

    @override
    async def book(self, scope: Scope, expense: Expense) -> None:
        """Add a reply to all its sums, in one statement."""
        tokens = [expense.input_tokens, expense.output_tokens]
        cost = expense.cost or 0.0
        async with self._store.transaction() as database:
            await database.execute(
                "insert into host.model_expenses as e "  # noqa: S608 - constants
                "select kind, name, day, %s, 1, %s, %s from (values "
                f"('run', %s, {_ONCE}), ('day', '', {_TODAY}), "
                f"('user', %s, {_TODAY}), ('model', %s, {_TODAY})"
                ") as sums (kind, name, day) "
                "on conflict (kind, name, day) do update set "
                "cost = e.cost + excluded.cost, requests = e.requests + 1, "
                "input_tokens = e.input_tokens + excluded.input_tokens, "
                "output_tokens = e.output_tokens + excluded.output_tokens",
                [cost, *tokens, scope.run, scope.user, str(expense.model)],
            )
