"""Budgets: what a run, a day and a user may spend on models."""

import itertools
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

from typing_extensions import override

from host.domain.errors import BudgetExceededError, StoreError
from host.domain.wait import unbroken
from host.models.config import BudgetConfig
from host.models.name import ModelName

Kind = Literal["run", "day", "user"]
"""What a budget is for; `day` and `user` count from midnight to midnight (UTC)."""
KINDS: tuple[Kind, ...] = ("day", "user", "run")
Limits = dict[Kind, float]


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
class Overdrawn:
    """A limit that a request would cross, in US dollars.

    Attributes:
        held: Kept for requests that are under way.
    """

    kind: Kind
    limit: float
    spent: float
    held: float


@dataclass(frozen=True, slots=True)
class Expense:
    """One reply to be booked; `cost` is None where the price is unknown."""

    model: ModelName
    input_tokens: int
    output_tokens: int
    cost: float | None


@dataclass(slots=True)
class Spending:
    """One request under way: what it may cost is kept inside, what it did cost booked at the end.

    Attributes:
        estimate: What it may cost in US dollars; None: the price is unknown.
        expense: The caller sets what it cost once that is known.
    """

    budget: "Budget"
    scope: Scope
    model: ModelName
    estimate: float | None
    expense: Expense | None = None
    _number: int | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        """Keep the estimate.

        Raises:
            StoreError: What was spent is not known.
            BudgetExceededError: It does not fit into the budget, or the model's price is unknown
                and that is not allowed.
        """
        self._number = await self.budget.reserve(self.scope, self.model, self.estimate)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Book what was spent."""
        await self.budget.settle(self.scope, self._number, self.expense)


class Allowance(Protocol):
    """What one run may spend, whatever the budgets say; agents' `RunBudget` does."""

    @property
    def limited(self) -> bool:
        """Whether there is anything to keep to."""
        ...

    def setting_aside(self, cost: float) -> AbstractContextManager[None]:
        """Keep what a request may cost, in US dollars, while it is made; refuse it in its words."""
        ...


class Ledger(Protocol):
    """Keeps what was spent and what may be; `MemoryLedger` and `StoredLedger` do."""

    async def reserve(self, scope: Scope, cost: float, limits: Limits) -> int | Overdrawn:
        """Keep an amount for a request if that stays within all limits; return its number."""
        ...

    async def settle(self, scope: Scope, number: int | None, expense: Expense | None) -> None:
        """Free what was kept for a request, and add what it cost, at once."""
        ...


class MemoryLedger(Ledger):
    """Counts in this process, for as long as it lives."""

    def __init__(self) -> None:
        self._spent: dict[tuple[str, str], float] = {}
        self._held: dict[int, tuple[Scope, float]] = {}
        self._numbers = itertools.count(1)

    @override
    async def reserve(self, scope: Scope, cost: float, limits: Limits) -> int | Overdrawn:
        """Keep an amount, or say which limit it would cross."""
        for kind, limit in limits.items():
            key = sum_key(kind, scope)
            held = (cost for one, cost in self._held.values() if sum_key(kind, one) == key)
            used = self._spent.get(key, 0.0)
            if over := overdrawn(kind, limit, spent=used, held=sum(held), cost=cost):
                return over
        number = next(self._numbers)
        self._held[number] = scope, cost
        return number

    @override
    async def settle(self, scope: Scope, number: int | None, expense: Expense | None) -> None:
        """Free what was kept, and add what was spent."""
        if number is not None:
            self._held.pop(number, None)
        if expense is None or not expense.cost:
            return
        for kind in KINDS:
            key = sum_key(kind, scope)
            self._spent[key] = self._spent.get(key, 0.0) + expense.cost


class Budget:
    """Refuses requests of those who have spent what they may.

    Args:
        config: The limits.
        ledger: Where expenses are kept.
    """

    def __init__(self, config: BudgetConfig, ledger: Ledger) -> None:
        self._ledger = ledger
        self._owed: list[tuple[Scope, Expense]] = []
        self.limit(config)

    def limit(self, config: BudgetConfig) -> None:
        """Put other limits into force, for requests of runs that go on as well."""
        self._config = config
        self._limits: Limits = {
            kind: limit for kind in KINDS if (limit := getattr(config, kind)) is not None
        }

    @property
    def limited(self) -> bool:
        """Whether there is anything to keep to."""
        return bool(self._limits)

    @property
    def owes(self) -> bool:
        """Whether something was spent that could not be booked yet."""
        return bool(self._owed)

    def spending(self, scope: Scope, model: ModelName, *, estimate: float | None) -> Spending:
        """Return what keeps a request's estimate while it is made, and books what it did cost.

        Args:
            scope: Whose request it is.
            model: Who is asked.
            estimate: What it may cost in US dollars; None: the price is unknown.
        """
        return Spending(self, scope, model, estimate)

    async def book_owed(self) -> None:
        """Book what could not be booked when it was spent.

        Raises:
            StoreError: It still cannot.
        """
        while self._owed:
            scope, expense = self._owed.pop(0)  # nobody else books it meanwhile
            failed = await unbroken(self._book(scope, None, expense))
            if failed is not None:
                raise failed

    async def reserve(self, scope: Scope, model: ModelName, estimate: float | None) -> int | None:
        """Keep what a request may cost; `settle` wants the number of it back.

        Raises:
            StoreError: What was spent is not known.
            BudgetExceededError: It does not fit, or the price is unknown and that is not allowed.
        """
        await self.book_owed()
        if not self._limits:
            return None
        if estimate is None and self._config.unpriced == "deny":
            raise BudgetExceededError(
                f"The price of {model} is unknown, so no budget can be held.",
                next_step=f"Set prices.{model} in models.yaml.",
            )
        found = await self._ledger.reserve(scope, estimate or 0.0, self._limits)
        if isinstance(found, Overdrawn):
            raise _refusal(found, scope, estimate or 0.0)
        return found

    async def settle(self, scope: Scope, number: int | None, expense: Expense | None) -> None:
        """Book what a request cost, whatever ended it.

        Where the store is away, the reply is not lost with it: the next request books it or fails.
        """
        if expense is not None and expense.cost == 0:
            expense = None  # a model of the user's own
        if number is not None or expense is not None:
            await unbroken(self._book(scope, number, expense))

    async def _book(
        self, scope: Scope, number: int | None, expense: Expense | None
    ) -> StoreError | None:
        """Book an expense, or keep it for later; return why it could not be booked."""
        try:
            await self._ledger.settle(scope, number, expense)
        except StoreError as error:
            if expense is not None:
                self._owed.append((scope, expense))
            return error
        return None


def sum_key(kind: Kind, scope: Scope) -> tuple[str, str]:
    """Return under what the sum of a kind is kept."""
    return kind, {"run": scope.run, "day": "", "user": scope.user}[kind]


def overdrawn(
    kind: Kind, limit: float, *, spent: float, held: float, cost: float
) -> Overdrawn | None:
    """Return that a request does not fit; one that costs nothing fits until all is spent."""
    fits = spent < limit and spent + held + cost <= limit
    return None if fits else Overdrawn(kind, limit, spent, held)


def _refusal(over: Overdrawn, scope: Scope, cost: float) -> BudgetExceededError:
    whose = _whose(over.kind, scope)
    later = "start another run" if over.kind == "run" else "wait for tomorrow (UTC)"
    if over.spent >= over.limit:
        return BudgetExceededError(
            f"The budget of {whose} is used up: ${over.spent:.4f} of ${over.limit:.4f}.",
            next_step=f"Raise budgets.{over.kind} in models.yaml, or {later}.",
        )
    kept = f" and ${over.held:.4f} kept for requests under way" if over.held else ""
    return BudgetExceededError(
        f"The request may cost ${cost:.4f}, and of the budget of {whose}, ${over.limit:.4f}, "
        f"${over.spent:.4f} is spent{kept}.",
        next_step=f"Set a smaller max_tokens, raise budgets.{over.kind}, or {later}.",
    )


def _whose(name: Kind, scope: Scope) -> str:
    return {
        "run": f"the run {scope.run!r}",
        "day": "the day",
        "user": f"the user {scope.user!r}",
    }[name]
