"""Reads what providers' rate-limit headers say, in Anthropic's and in OpenAI's way."""

import datetime as dt
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from host.models.bucket import Observed

if TYPE_CHECKING:
    import httpx2

    from host.models.endpoint import Headers

_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def watch_headers(headers: "Headers") -> "Callable[[httpx2.Response], Awaitable[None]]":
    """Return a hook for an HTTP client that keeps what each response's headers say."""

    async def note(response: "httpx2.Response") -> None:
        headers.observed = read_headers(response.headers)

    return note


def read_headers(headers: Mapping[str, str], *, now: dt.datetime | None = None) -> Observed:
    """Return what rate-limit headers say.

    Args:
        headers: Of a response, names in any case.
        now: The time; None is now.
    """
    moment = now or dt.datetime.now(dt.UTC)
    fields = {name.lower(): value for name, value in headers.items()}
    prefix = "anthropic-ratelimit-"
    if any(name.startswith(prefix) for name in fields):
        return Observed(
            _count(fields.get(f"{prefix}requests-remaining")),
            _until(fields.get(f"{prefix}requests-reset"), moment),
            _count(fields.get(f"{prefix}tokens-remaining")),
            _until(fields.get(f"{prefix}tokens-reset"), moment),
        )
    return Observed(
        _count(fields.get("x-ratelimit-remaining-requests")),
        _span(fields.get("x-ratelimit-reset-requests")),
        _count(fields.get("x-ratelimit-remaining-tokens")),
        _span(fields.get("x-ratelimit-reset-tokens")),
    )


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _until(text: str | None, now: dt.datetime) -> float | None:
    """Return seconds until an RFC 3339 time."""
    try:
        moment = dt.datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if moment is None or moment.tzinfo is None:
        return None
    return max(0.0, (moment - now).total_seconds())


def _span(text: str | None) -> float | None:
    """Return seconds of a span such as `6m0s`, `20ms` or `1.5`."""
    if not text:
        return None
    parts = _SPAN.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else None
