"""Requests that are cancelled: what was held for them is given back, and what they cost booked."""

import secrets
from pathlib import Path

import anyio.lowlevel
import pytest
from typing_extensions import override

from host.domain.errors import BudgetExceededError, StoreError
from host.models import stored_bucket, stored_ledger
from host.models.budget import Budget, Expense, Limits, Scope
from host.models.config import BudgetConfig, LimitConfig
from host.models.name import ModelName
from host.models.stored_bucket import StoredBuckets
from host.models.stored_ledger import StoredLedger
from host.storage.store import Store
from tests.fakes.moment import Moment
from tests.models.test_stored import opened

pytestmark = pytest.mark.anyio

MODEL = ModelName("openai", "gpt-4.1")
ALONE = LimitConfig(concurrency=1)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    return Moment(monkeypatch)


async def no_wait(seconds: float) -> None:
    pytest.fail("its place is taken")


async def enter(store: Store, bucket: str) -> None:
    async with StoredBuckets(store, sleep=no_wait).admit(bucket, ALONE, 1):
        pass


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [(StoredBuckets, "_end", False), (stored_bucket, "_insert", True)],
    ids=["while its end is noted", "while its admission is committed"],
)
async def test_request_that_is_cancelled_gives_its_place_back(
    store_folder: Path, moment: Moment, owner: object, name: str, after: bool
) -> None:
    bucket = f"test-{secrets.token_hex(4)}"
    async with opened(store_folder) as store:
        moment.of(owner, name, after=after)
        assert await moment.cancels(enter(store, bucket))
        await enter(store, bucket)


async def spend(budget: Budget, scope: Scope, cost: float, estimate: float) -> None:
    async with budget.spending(scope, MODEL, estimate=estimate) as spending:
        spending.expense = Expense(MODEL, 1, 1, cost)


async def test_request_that_is_cancelled_while_it_is_booked_is_booked_once(
    store_folder: Path, moment: Moment
) -> None:
    scope = Scope(user=secrets.token_hex(4))
    async with opened(store_folder) as store:
        budget = Budget(BudgetConfig(user=1.0), StoredLedger(store))
        moment.of(StoredLedger, "settle")
        assert await moment.cancels(spend(budget, scope, 0.1, 0.6))
        assert not budget.owes
        with pytest.raises(BudgetExceededError, match=r"\$0\.1000 is spent\."):
            await spend(budget, scope, 0.95, 0.95)


async def test_request_that_is_cancelled_while_its_cost_is_set_aside_frees_it(
    store_folder: Path, moment: Moment
) -> None:
    scope = Scope(user=secrets.token_hex(4))
    async with opened(store_folder) as store:
        budget = Budget(BudgetConfig(user=1.0), StoredLedger(store))
        moment.of(stored_ledger, "_keep", after=True)
        assert await moment.cancels(spend(budget, scope, 0.1, 0.6))
        await spend(budget, scope, 0.9, 0.9)


class AwayLedger:
    """A ledger whose store is away."""

    async def reserve(self, scope: Scope, cost: float, limits: Limits) -> int:
        raise AssertionError  # nothing is limited

    async def settle(self, scope: Scope, number: int | None, expense: Expense | None) -> None:
        await anyio.lowlevel.checkpoint()
        raise StoreError("The store is away.")


async def test_expense_of_a_cancelled_request_is_owed_where_the_store_is_away(
    moment: Moment,
) -> None:
    budget = Budget(BudgetConfig(), AwayLedger())
    moment.of(AwayLedger, "settle")
    assert await moment.cancels(spend(budget, Scope(), 0.1, 0.1))
    assert budget.owes


class BackLedger(AwayLedger):
    """A ledger whose store was away."""

    def __init__(self) -> None:
        self.away = True
        self.booked: list[float] = []

    @override
    async def settle(self, scope: Scope, number: int | None, expense: Expense | None) -> None:
        if self.away:
            await super().settle(scope, number, expense)
        await anyio.lowlevel.checkpoint()
        assert expense is not None
        self.booked.append(expense.cost or 0.0)


async def test_what_is_owed_is_booked_once_by_requests_at_the_same_time() -> None:
    ledger = BackLedger()
    budget = Budget(BudgetConfig(), ledger)
    for cost in (1.0, 2.0):
        await budget.settle(Scope(), None, Expense(MODEL, 1, 1, cost))
    with pytest.raises(StoreError):
        await budget.book_owed()
    ledger.away = False
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(budget.book_owed)
    assert sorted(ledger.booked) == [1.0, 2.0]
    assert not budget.owes
