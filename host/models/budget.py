"""Budgets: what a run, a day and a user may spend on models."""

from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from host.domain.errors import BudgetExceededError, StoreError
from host.models.config import BudgetConfig
from host.models.name import ModelName


@dataclass(frozen=True, slots=True)
class Scope:
    """On whose account a model is asked.

    Attributes:
        user: The person; empty: nobody in particular.
        run: The outermost run, so that nested agents share its budget.
        agent: The agent, for reports.
    """

    user: str = ""
    run: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """US dollars spent so far today (UTC), and tokens of the run."""

    run: float = 0
    day: float = 0
    user: float = 0


@dataclass(frozen=True, slots=True)
class Expense:
    """One reply to be booked; `cost` is None where the price is unknown."""

    model: ModelName
    input_tokens: int
    output_tokens: int
    cost: float | None


class Ledger(Protocol):
    """Keeps what was spent; `MemoryLedger` and `StoredLedger` do."""

    async def spent(self, scope: Scope) -> Spent:
        """Return what has been spent."""
        ...

    async def book(self, scope: Scope, expense: Expense) -> None:
        """Add a reply."""
        ...


class MemoryLedger(Ledger):
    """Counts in this process, for as long as it lives."""

    def __init__(self) -> None:
        self._runs: dict[str, float] = {}
        self._users: dict[str, float] = {}
        self._total = 0.0

    @override
    async def spent(self, scope: Scope) -> Spent:
        """Return what this process has spent."""
        return Spent(self._runs.get(scope.run, 0), self._total, self._users.get(scope.user, 0))

    @override
    async def book(self, scope: Scope, expense: Expense) -> None:
        """Add a reply."""
        if not expense.cost:
            return
        self._total += expense.cost
        self._runs[scope.run] = self._runs.get(scope.run, 0) + expense.cost
        self._users[scope.user] = self._users.get(scope.user, 0) + expense.cost


class Budget:
    """Refuses requests of those who have spent what they may.

    Args:
        config: The limits.
        ledger: Where expenses are kept.
    """

    def __init__(self, config: BudgetConfig, ledger: Ledger) -> None:
        self._config = config
        self._ledger = ledger
        self._owed: list[tuple[Scope, Expense]] = []
        self._limits = {
            name: limit
            for name in ("run", "day", "user")
            if (limit := getattr(config, name)) is not None
        }

    async def check(self, scope: Scope, model: ModelName, *, priced: bool) -> None:
        """Let a request pass, or not.

        Raises:
            StoreError: What was spent is not known.
            BudgetExceededError: The budget is used up, or the model's price unknown and that is
                not allowed.
        """
        await self._settle()
        if not self._limits:
            return
        if not priced and self._config.unpriced == "deny":
            raise BudgetExceededError(
                f"The price of {model} is unknown, so no budget can be held.",
                next_step=f"Set prices.{model} in models.yaml.",
            )
        spent = await self._ledger.spent(scope)
        for name, limit in self._limits.items():
            used: float = getattr(spent, name)
            if used >= limit:
                raise BudgetExceededError(
                    f"The budget of {_whose(name, scope)} is used up: ${used:.4f} of ${limit:.4f}.",
                    next_step=f"Raise budgets.{name} in models.yaml, or wait for tomorrow (UTC)."
                    if name != "run"
                    else "Raise budgets.run in models.yaml, or start another run.",
                )

    async def book(self, scope: Scope, expense: Expense) -> None:
        """Add what a reply cost.

        Where the store is away, the reply is not lost with it: the next check books it or fails.
        """
        if expense.cost == 0:
            return  # a model of the user's own
        try:
            await self._ledger.book(scope, expense)
        except StoreError:
            self._owed.append((scope, expense))

    async def _settle(self) -> None:
        while self._owed:
            await self._ledger.book(*self._owed[0])
            self._owed.pop(0)


def _whose(name: str, scope: Scope) -> str:
    return {
        "run": f"the run {scope.run!r}",
        "day": "the day",
        "user": f"the user {scope.user!r}",
    }[name]
