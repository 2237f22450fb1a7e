"""What all models of a user share: rate buckets, the budget, prices and the clock."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from host.models.bucket import Buckets, OpenBuckets
from host.models.budget import Budget, MemoryLedger
from host.models.config import BudgetConfig, ModelsConfig
from host.models.price import PriceTable
from host.models.stored_bucket import StoredBuckets
from host.models.stored_ledger import StoredLedger
from host.storage.store import Store


@dataclass(frozen=True, slots=True)
class Desk:
    """What all routes share.

    Attributes:
        buckets: Admits requests.
        budget: Refuses them.
        prices: What they cost.
        sleep: Waits so many seconds.
        clock: Seconds, monotonic.
    """

    buckets: Buckets = field(default_factory=OpenBuckets)
    budget: Budget = field(default_factory=lambda: Budget(BudgetConfig(), MemoryLedger()))
    prices: PriceTable = field(default_factory=lambda: PriceTable({}))
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    clock: Callable[[], float] = time.monotonic


def price_table(config: ModelsConfig) -> PriceTable:
    """Return the prices, with the user's before the table's."""
    own = {entry.model: entry.price for entry in config.models.values() if entry.price is not None}
    return PriceTable({**own, **config.prices})


def stored_desk(config: ModelsConfig, store: Store) -> Desk:
    """Return a desk whose buckets and ledger are shared by all processes of a store."""
    return Desk(
        buckets=StoredBuckets(store),
        budget=Budget(config.budgets, StoredLedger(store)),
        prices=price_table(config),
    )
