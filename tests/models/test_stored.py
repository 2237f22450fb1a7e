"""Rate buckets and budgets that all processes of a store share."""

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import ModelRequestParameters

from host.domain.errors import BudgetExceededError, ModelError
from host.models.bucket import Observed
from host.models.budget import Budget, Expense, Scope
from host.models.config import BudgetConfig, LimitConfig, ModelsConfig
from host.models.desk import stored_desk
from host.models.models import Models
from host.models.name import ModelName
from host.models.parameters import Parameters
from host.models.stored_bucket import StoredBuckets
from host.models.stored_ledger import StoredLedger
from host.secrets.keys import Keys
from host.storage.store import Store, open_store
from tests.fakes.arrivals import noting_arrivals

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests/models/programs/admit.py"
WINDOW = 0.5
MODEL = ModelName("openai", "gpt-4.1")


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Store]:
    store = await open_store(None, folder, linger=0.0)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def bucket() -> str:
    return f"test-{secrets.token_hex(4)}"


@pytest.mark.parametrize(("requests", "tokens", "at_once"), [(8, 0, 8), (0, 80, 8)])
def test_four_processes_together_never_pass_the_limit(
    store_folder: Path, bucket: str, requests: int, tokens: int, at_once: int
) -> None:
    words = [str(store_folder), bucket, str(WINDOW), str(requests), str(tokens), "8"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with noting_arrivals() as provider:
        started = [
            subprocess.Popen(
                [sys.executable, PROGRAM, *words, str(provider.port), late], env=environ
            )
            for late in ("0", "0.1", "0.2", "0.3")
        ]
        assert [process.wait(timeout=100) for process in started] == [0, 0, 0, 0]
    assert len(provider.times[bucket]) == 32
    assert provider.over(bucket, limit=at_once, window=WINDOW) == 0


async def test_request_that_a_provider_refuses_keeps_all_processes_back(
    store_folder: Path, bucket: str
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        raise TimeoutError

    limits = LimitConfig(requests_per_minute=100)
    async with opened(store_folder) as store:
        buckets = StoredBuckets(store, sleep=sleep)
        async with buckets.admit(bucket, limits, 1) as lease:
            lease.observed = Observed(requests_left=0, requests_reset=300.0)
        with pytest.raises(TimeoutError):
            await enter(buckets, bucket, limits)
    assert 0 < waits[0] <= 300


async def test_request_that_is_on_its_way_counts_until_its_answer_begins(
    store_folder: Path, bucket: str
) -> None:
    limits, window, passed = LimitConfig(requests_per_minute=1), 0.01, 0
    done: list[str] = []
    finished = anyio.Event()

    async with opened(store_folder) as store, anyio.create_task_group() as group:

        async def sleep(seconds: float) -> None:
            nonlocal passed
            await anyio.sleep(seconds + window)
            passed += 1
            if passed == 3:  # the minute after its admission is long over
                done.append("first")
                await first.answered()

        async def second() -> None:
            async with StoredBuckets(store, window=window, sleep=sleep).admit(bucket, limits, 1):
                done.append("second")
            finished.set()

        async with StoredBuckets(store, window=window).admit(bucket, limits, 1) as first:
            group.start_soon(second)
            with anyio.fail_after(60):
                await finished.wait()
    assert done == ["first", "second"]


async def enter(buckets: StoredBuckets, bucket: str, limits: LimitConfig) -> None:
    async with buckets.admit(bucket, limits, 1):
        pass


async def test_concurrent_requests_wait_for_one_another(store_folder: Path, bucket: str) -> None:
    inside = most = 0
    limits = LimitConfig(concurrency=2)

    async def work(buckets: StoredBuckets) -> None:
        nonlocal inside, most
        async with buckets.admit(bucket, limits, 1):
            inside += 1
            most = max(most, inside)
            await anyio.lowlevel.checkpoint()
            inside -= 1

    async with opened(store_folder) as store:
        buckets = StoredBuckets(store)
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(work, buckets)
    assert most <= 2
    assert inside == 0


async def test_request_larger_than_the_bucket_is_refused_at_once(
    store_folder: Path, bucket: str
) -> None:
    async with opened(store_folder) as store:
        with pytest.raises(ModelError, match="may be sent 5 a minute"):
            async with StoredBuckets(store).admit(bucket, LimitConfig(tokens_per_minute=5), 6):
                pass


async def spend(budget: Budget, scope: Scope, cost: float, *, estimate: float = 0.0) -> None:
    async with budget.spending(scope, MODEL, estimate=estimate) as spending:
        spending.expense = Expense(MODEL, 10, 5, cost)


async def test_budget_holds_across_processes_and_says_whose_is_used_up(store_folder: Path) -> None:
    scope = Scope(secrets.token_hex(4), secrets.token_hex(4))
    async with opened(store_folder) as store:
        for cost in (0.75, 0.5):
            await spend(Budget(BudgetConfig(run=9), StoredLedger(store)), scope, cost)
        for config, whose in (
            (BudgetConfig(run=1), f"run '{scope.run}' is used up: \\$1.2500 of"),
            (BudgetConfig(user=1), f"user '{scope.user}' is used up: \\$1.2500 of"),
        ):
            with pytest.raises(BudgetExceededError, match=whose):
                await spend(Budget(config, StoredLedger(store)), scope, 0.1)
        await spend(Budget(BudgetConfig(run=2), StoredLedger(store)), scope, 0.1)


@pytest.mark.parametrize("kind", ["run", "user"])
async def test_requests_at_the_same_time_never_spend_more_than_the_budget(
    store_folder: Path, kind: str
) -> None:
    scope = Scope(secrets.token_hex(4), secrets.token_hex(4))
    config = BudgetConfig.model_validate({kind: 1.0})
    let_in, refused = anyio.Semaphore(0), list[str]()
    go_on = anyio.Event()

    async def one(budget: Budget) -> None:
        try:
            async with budget.spending(scope, MODEL, estimate=0.3) as spending:
                let_in.release()
                await go_on.wait()
                spending.expense = Expense(MODEL, 1, 1, 0.3)
        except BudgetExceededError as error:
            refused.append(str(error))
            if len(refused) == 7:
                go_on.set()

    async with opened(store_folder) as store, opened(store_folder) as other:
        budgets = [Budget(config, StoredLedger(each)) for each in (store, other)]
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(one, budgets[number % 2])
        assert let_in.value == 3
        assert all("$0.9000 kept for requests under way" in text for text in refused)
        with pytest.raises(BudgetExceededError, match=r"may cost \$0.3000"):
            await spend(budgets[0], scope, 0.3, estimate=0.3)
        await spend(budgets[0], scope, 0.1, estimate=0.1)


async def test_request_that_failed_frees_what_was_kept_for_it(store_folder: Path) -> None:
    scope = Scope(secrets.token_hex(4), secrets.token_hex(4))
    async with opened(store_folder) as store:
        budget = Budget(BudgetConfig(run=1), StoredLedger(store))
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with budget.spending(scope, MODEL, estimate=0.9):
                    raise TimeoutError
        await spend(budget, scope, 0.9, estimate=0.9)


async def test_run_stops_when_its_budget_is_used_up(store_folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "s.yaml"
    script.write_text("{turns: [{reply: a, usage: {input: 0, output: 1000}}], loop: true}")
    name = f"scripted:{script}"
    config = ModelsConfig.model_validate(
        {"prices": {name: {"input": 0, "output": 600}}, "budgets": {"run": 1}}
    )
    async with opened(store_folder) as store:
        models = Models(config, keys=Keys(tmp_path, {}), desk=stored_desk(config, store))
        model = models.resolve(
            name, scope=Scope(run=secrets.token_hex(4)), parameters=Parameters(max_tokens=1000)
        )
        talk = [ModelRequest([UserPromptPart("go")])]
        costs: list[float] = []

        async def go_on() -> None:
            while len(costs) < 9:
                reply = await model.request([*talk], None, ModelRequestParameters())
                costs.append((reply.metadata or {})["cost"])

        with pytest.raises(BudgetExceededError, match="may cost"):
            await go_on()
    assert costs == [0.6]
