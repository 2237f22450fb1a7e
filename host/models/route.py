"""A route: several models that stand in for each other, asked in one retry loop, as one model."""

import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from typing_extensions import override

from host.domain.errors import ModelError
from host.models.budget import Allowance, Expense, Scope, Spending
from host.models.config import RouteConfig
from host.models.desk import Desk
from host.models.endpoint import Endpoint, estimate_tokens
from host.models.media import files_of, usual_types
from host.models.stream import Asked, Heard, Reading, unheard

BACKOFF = 0.5
"""Seconds before the first retry; each further one waits twice as long, give or take a quarter."""
REPLY_TOKENS = 1000
"""Tokens of a reply for which a budget keeps money where no `max_tokens` is said."""


class Router:
    """Asks the first model that can answer.

    It stands apart from `RoutedModel` because pydantic-ai wraps what a `Model` defines, to treat a
    reply that a model wrote; the models that are asked here have had that already.

    Args:
        name: As the caller wrote it.
        endpoints: The models, preferred one first; at least one.
        config: How failures are met.
        desk: What all routes share.
        scope: On whose account it is asked.
        allowance: What the run may spend; None: whatever the budgets leave.
    """

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        *,
        config: RouteConfig,
        desk: Desk,
        scope: Scope,
        allowance: Allowance | None = None,
    ) -> None:
        super().__init__()  # `Model`, where this is mixed into one
        self._name = name
        self.endpoints = tuple(endpoints)
        self._config = config
        self._desk = desk
        self._scope = scope
        self._allowance = allowance

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return a reply.

        Raises:
            ModelError: No model gave one.
            BudgetExceededError: None may be asked.
        """
        return await self._reply(messages, Asked(model_settings, model_request_parameters))

    async def ask(
        self,
        messages: list[ModelMessage],
        parameters: ModelRequestParameters,
        *,
        heard: Heard = unheard,
    ) -> ModelResponse:
        """Return a reply that is streamed; other models are tried until the first of it has come.

        Args:
            messages: The conversation.
            parameters: The tools, and how the answer should look.
            heard: Takes the text as it comes in.

        Raises:
            ModelError: No model gave one, or the stream was cut.
            BudgetExceededError: None may be asked.
        """
        return await self._reply(messages, Asked(None, parameters, heard))

    async def _reply(self, messages: list[ModelMessage], asked: Asked) -> ModelResponse:
        messages = usual_types(messages)
        attempts = _Attempts(self._able(messages), self._config, self._desk)
        while True:
            endpoint = await attempts.next()
            begun = self._desk.clock()
            shown, refused = endpoint.shown(messages)
            reading = Reading(endpoint, asked)
            try:
                async with (
                    self._spending(endpoint, messages) as spending,
                    endpoint.admitted(self._desk.buckets, messages) as lease,
                ):
                    try:
                        response = await reading.reply(shown, lease)
                    finally:
                        if reading.usage is not None:  # that of a reply that was cut or left, too
                            lease.tokens = reading.usage.total_tokens
                            spending.expense = self._expense(endpoint, reading.usage)
                    ending = endpoint.ending(response)
                    if (error := ending.error(response, asked.parameters)) is not None:
                        raise error
            except ModelError as error:
                if reading.begun:
                    raise
                attempts.failed(error)
                continue
            known = self._known(response, endpoint, attempts, begun)
            notes = [*endpoint.notes(refused), *ending.notes()]
            return replace(response, metadata={**known, "notes": notes})

    def _spending(
        self, endpoint: Endpoint, messages: list[ModelMessage]
    ) -> AbstractAsyncContextManager[Spending]:
        """Keep what a request may cost at most while it is made, where that is limited."""
        budget, allowance = self._desk.budget, self._allowance
        held = allowance is not None and allowance.limited
        if not budget.limited and not held:
            return budget.spending(self._scope, endpoint.name, estimate=None)
        tokens = endpoint.settings.max_tokens or REPLY_TOKENS
        most = RequestUsage(input_tokens=estimate_tokens(messages), output_tokens=tokens)
        estimate = self._desk.prices.cost(endpoint.name, most)
        spending = budget.spending(self._scope, endpoint.name, estimate=estimate)
        return _within(allowance, estimate or 0.0, spending) if allowance else spending

    def _expense(self, endpoint: Endpoint, usage: RequestUsage) -> Expense:
        cost = self._desk.prices.cost(endpoint.name, usage)
        return Expense(endpoint.name, usage.input_tokens, usage.output_tokens, cost)

    def _known(
        self, response: ModelResponse, endpoint: Endpoint, attempts: "_Attempts", begun: float
    ) -> dict[str, Any]:
        """Return what is known of a reply besides itself."""
        seconds = self._desk.clock() - begun
        endpoint.health.succeeded(seconds)
        return {
            **(response.metadata or {}),
            "model": str(endpoint.name),
            "cost": self._desk.prices.cost(endpoint.name, response.usage),
            "seconds": seconds,
            "attempts": attempts.made,
        }

    def _able(self, messages: list[ModelMessage]) -> list[Endpoint]:
        """Return the models that take every file of a conversation, in the order of preference.

        Raises:
            ModelError: None does.
        """
        order, files = self._order(), files_of(messages)
        if not files:
            return order
        refused = {endpoint.name: endpoint.refused(files) for endpoint in order}
        able = [endpoint for endpoint in order if refused[endpoint.name] is None]
        if not able:
            told = "; ".join(f"{name} takes no {files}" for name, files in refused.items())
            raise ModelError(
                f"{told}.",
                model=str(order[0].name),
                fault="rejected",
                next_step="Name a model that does, or give it as text.",
            )
        return able

    def _order(self) -> list[Endpoint]:
        """Return the models in the order of preference; the resting ones come last."""
        if len(self.endpoints) == 1:
            return [*self.endpoints]
        now = self._desk.clock()
        prices = self._desk.prices

        def price(endpoint: Endpoint) -> float:
            facts = prices.facts(endpoint.name)
            if facts.input is None or facts.output is None:
                return float("inf")
            return facts.input + facts.output

        keys: dict[str, Callable[[Endpoint], float]] = {
            "order": lambda _: 0,
            "cost": price,
            "latency": lambda endpoint: endpoint.health.latency or 0,  # untried ones get a chance
        }
        preferred = sorted(self.endpoints, key=keys[self._config.prefer])
        return sorted(preferred, key=lambda endpoint: endpoint.health.rests_until > now)


@asynccontextmanager
async def _within(
    allowance: Allowance, estimate: float, spending: AbstractAsyncContextManager[Spending]
) -> AsyncGenerator[Spending]:
    """Keep what a request may cost to the very end: the run counts what it did cost right after."""
    with allowance.setting_aside(estimate):
        async with spending as found:
            yield found


class RoutedModel(Router, Model[None]):
    """A route as one model; a single model is a route of one."""

    @property
    @override
    def model_name(self) -> str:
        return self._name

    @property
    @override
    def system(self) -> str:
        return self.endpoints[0].name.provider

    @property
    @override
    def provider(self) -> None:
        return None

    @property
    @override
    def profile(self) -> ModelProfile:  # pyright: ignore[reportIncompatibleVariableOverride] - a cached property there
        return self.endpoints[0].inner.profile


_OF_THE_REQUEST = frozenset(("rejected", "context", "filtered", "length"))
"""Faults that say something of what was asked and nothing of the model, which need not rest."""


class _Attempts:
    """The one retry loop: which model is asked next, and after what wait."""

    def __init__(self, order: list[Endpoint], config: RouteConfig, desk: Desk) -> None:
        self.made: list[dict[str, Any]] = []
        self._left = order
        self._config = config
        self._desk = desk
        self._tries = 0
        self._wait = 0.0
        self._errors: list[ModelError] = []

    async def next(self) -> Endpoint:
        """Return the model to ask now, when it is time."""
        if self._wait:
            await self._desk.sleep(self._wait)
        return self._left[0]

    def failed(self, error: ModelError) -> None:
        """Note a failure, and decide what comes next.

        Raises:
            ModelError: Nothing does.
        """
        endpoint, config = self._left[0], self._config
        if error.fault not in _OF_THE_REQUEST:
            endpoint.health.failed(
                self._desk.clock(), limit=config.cooldown_after, rest=config.cooldown
            )
        self._wait = self._pause(error)
        self._tries += 1
        again = error.transient and self._tries <= config.retries
        again = again and self._wait <= config.max_wait
        if not again:
            self._wait, self._tries = 0.0, 0
            self._left = self._left[1:] if error.fault in config.fallback_on else []
            self._errors.append(error)
        self.made.append({"model": str(endpoint.name), "fault": error.fault, "waited": self._wait})
        if not self._left:
            raise self._verdict(error) from error.__cause__

    def _pause(self, error: ModelError) -> float:
        jitter = 0.75 + random.random() / 2  # noqa: S311 - spreads retries, keeps no secret
        backoff = min(self._config.max_wait, BACKOFF * 2**self._tries * jitter)
        return backoff if error.retry_after is None else max(error.retry_after, 0.0)

    def _verdict(self, error: ModelError) -> ModelError:
        if len(self._errors) < 2:
            return error
        told = " ".join(failure.message for failure in self._errors)
        return ModelError(
            f"No model of the route could answer. {told}",
            model=error.model,
            fault=error.fault,
            retry_after=error.retry_after,
            next_step=error.next_step,
        )
