"""Rate buckets: what may go to one provider, with one key, for one model, in a minute."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from typing_extensions import override

from host.models.config import LimitConfig

WINDOW = 60.0
"""Seconds in which requests and tokens are counted."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a provider's headers said after a request; None where they said nothing.

    Attributes:
        requests_left: Requests that may still be made.
        requests_reset: Seconds until there are as many as ever.
        tokens_left: Tokens that may still be used.
        tokens_reset: Seconds until there are as many as ever.
    """

    requests_left: int | None = None
    requests_reset: float | None = None
    tokens_left: int | None = None
    tokens_reset: float | None = None


async def _nobody() -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Lease:
    """One admitted request.

    Attributes:
        bucket: Name of its bucket.
        tokens: Estimated at first; the caller sets what was used.
        observed: What the headers said; the caller sets it.
        at: When it was admitted, in seconds of the store's clock; 0 without a store.
        refused_for: Seconds for which the provider wants nothing, where it refused the request.
        answered: The caller calls it when the reply begins: by then the request had arrived.
    """

    bucket: str
    tokens: int
    observed: Observed = field(default_factory=Observed)
    refused_for: float = 0.0
    at: float = 0.0
    answered: Callable[[], Awaitable[None]] = _nobody


class Buckets(Protocol):
    """Admits requests one by one; `OpenBuckets` and `StoredBuckets` do."""

    def admit(
        self, bucket: str, limits: LimitConfig, tokens: int
    ) -> AbstractAsyncContextManager[Lease]:
        """Wait until a request may be sent, and hold its place until it has ended.

        Args:
            bucket: Name: provider, model and a digest of the key.
            limits: What may be sent.
            tokens: Estimate of what it will use.
        """
        ...


class OpenBuckets(Buckets):
    """Admits everything at once: for models without limits, and where there is no store."""

    @override
    def admit(
        self, bucket: str, limits: LimitConfig, tokens: int
    ) -> AbstractAsyncContextManager[Lease]:
        """Return a lease without waiting."""
        return nullcontext(Lease(bucket, tokens))
