"""A provider on loopback, and the host's models that are pointed at it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from host.models.bucket import OpenBuckets
from host.models.budget import Budget, MemoryLedger
from host.models.config import BudgetConfig, ModelsConfig, ProviderConfig
from host.models.desk import Desk, price_table
from host.models.models import Models
from host.secrets.keys import Keys
from tests.fakes.model_provider import ModelProvider, model_provider

KEY = "sk-a-key-that-nobody-may-see-0123456789"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def vendor() -> Iterator[ModelProvider]:
    with model_provider() as provider:
        yield provider


class Clock:
    """A clock that goes on only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pointed_at(url: str) -> dict[str, ProviderConfig]:
    """Return the built-in providers, all at one address."""
    base = {"anthropic": url, "google": url, "ollama": url, "azure": f"{url}/openai/v1/"}
    names = ("openai", "openai-chat", "xai", "deepseek", "mistral", "openrouter", "vllm")
    return {
        **{name: ProviderConfig(base_url=f"{url}/v1") for name in names},
        **{name: ProviderConfig(base_url=address) for name, address in base.items()},
        "work": ProviderConfig(base_url=f"{url}/v1"),
    }


def make_models(folder: Path, url: str, clock: Clock, **config: object) -> Models:
    variables = ("ANTHROPIC", "OPENAI", "AZURE_OPENAI", "GOOGLE", "XAI", "DEEPSEEK", "MISTRAL")
    environ = {f"{name}_API_KEY": KEY for name in (*variables, "OPENROUTER", "OLLAMA", "WORK")}
    whole = ModelsConfig.model_validate({"providers": pointed_at(url), **config})
    budgets = whole.budgets or BudgetConfig()
    desk = Desk(
        buckets=OpenBuckets(),
        budget=Budget(budgets, MemoryLedger()),
        prices=price_table(whole),
        sleep=clock.sleep,
        clock=clock,
    )
    return Models(whole, keys=Keys(folder, environ), desk=desk)


@pytest.fixture
async def models(tmp_path: Path, vendor: ModelProvider, clock: Clock) -> AsyncIterator[Models]:
    made = make_models(tmp_path, vendor.url, clock)
    yield made
    await made.aclose()
