"""Maps the errors of vendors' packages to the host's own, once, for every provider."""

import json
import re
from typing import Any, cast

import httpx
import httpx2
import pydantic
from pydantic_ai import exceptions as ai

from host.domain.errors import Fault, HostError, ModelError

_KINDS: tuple[tuple[type[BaseException], Fault], ...] = (
    (ai.ModelRateLimitError, "rate_limit"),
    (ai.ModelQuotaExceededError, "quota"),
    (ai.ModelOverloadedError, "overloaded"),
    (ai.ModelUnavailableError, "overloaded"),
    (ai.ModelContextWindowExceededError, "context"),
    (ai.ModelAuthenticationError, "auth"),
    (ai.ModelNotFoundError, "not_found"),
    (ai.ModelRequestRejectedError, "rejected"),
    (ai.ModelServerError, "server"),
    (ai.ModelTimeoutError, "timeout"),
    (ai.ModelRequestTimeout, "timeout"),
    (ai.ContentFilterError, "filtered"),
    (ai.OutputTokenLimitExceeded, "length"),
    (ai.UnexpectedModelBehavior, "malformed"),
    (ai.UserError, "rejected"),
    (httpx.TimeoutException, "timeout"),
    (httpx2.TimeoutException, "timeout"),
    (httpx2.ReadError, "cut"),
    (httpx2.RemoteProtocolError, "cut"),
    (httpx.HTTPError, "connection"),
    (httpx2.HTTPError, "connection"),
    (json.JSONDecodeError, "malformed"),
    (pydantic.ValidationError, "malformed"),
    (TimeoutError, "timeout"),
    (ConnectionError, "connection"),
)
"""First match wins: subclasses stand before their bases."""

_STATUS: dict[int, Fault] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    408: "timeout",
    413: "context",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}

_SAYS: dict[Fault, tuple[str, str | None]] = {
    "auth": ("refused the key", "`host keys set {key}` sets another; `keys test` tries it."),
    "not_found": ("does not know this model", "`host models list` shows the models there are."),
    "rate_limit": ("asks for fewer requests", None),
    "quota": ("says the account's credit or quota is used up", "Top it up, or use another model."),
    "overloaded": ("is overloaded", None),
    "server": ("failed on its side", None),
    "timeout": ("did not answer in time", "Set a longer `timeout` in the model's parameters."),
    "connection": ("cannot be reached", "Is it running, and is the base URL right?"),
    "cut": ("closed the connection in the middle of its reply", None),
    "rejected": ("refused the request", None),
    "context": ("was given more than fits its context", "Shorten the conversation."),
    "filtered": ("withheld its reply (content filter)", None),
    "length": ("stopped at its longest reply", "Set a higher `max_tokens`, or ask for less."),
    "malformed": ("answered with something that cannot be read", None),
}  # fmt: skip
_OVERFLOW = re.compile(
    r"(?i)context[ _](size|length|window)|maximum context|exceeds? the context|prompt is too long"
)
"""How a server says that a conversation does not fit."""
_FILTERED = re.compile(r"['\"]code['\"]: ['\"](content_filter|content_policy_violation)['\"]")
"""How a server's refusal says that it was for what the request is about."""
DETAIL_CHARS = 300
"""Most characters of a provider's own words in a message."""


def fault_of(error: BaseException) -> Fault | None:
    """Return what kind of failure a vendor's error is; None if it is not one."""
    if isinstance(error, ModelError):
        return error.fault
    fault = _kind_of(error)
    # Many servers that speak somebody else's format have no code for it, only words.
    if fault != "rejected" or not getattr(error, "body", None):
        return fault
    if _OVERFLOW.search(_detail(error)):
        return "context"
    return "filtered" if _FILTERED.search(str(getattr(error, "body", None))) else fault


def _kind_of(error: BaseException) -> Fault | None:
    if isinstance(error, ai.ModelConnectionError) and not isinstance(error, ai.ModelTimeoutError):
        return "cut" if getattr(error, "phase", None) == "read" else "connection"
    for kind, fault in _KINDS:
        if isinstance(error, kind):
            return fault
    return "malformed" if _unreadable(error) else _by_status(error)


def _unreadable(error: BaseException | None) -> bool:
    """Whether what lies behind an error is a reply that could not be parsed."""
    while error is not None:
        if isinstance(error, (json.JSONDecodeError, pydantic.ValidationError)):
            return True
        error = error.__cause__
    return False


def _by_status(error: BaseException) -> Fault | None:
    """Classify by HTTP status what the vendors' packages raise themselves."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    if isinstance(status, int):
        return _STATUS.get(status) or ("server" if status >= 500 else "rejected")
    root = type(error).__module__.partition(".")[0]
    if root in {"anthropic", "openai"} or type(error).__module__.startswith("google.genai"):
        return "timeout" if "Timeout" in type(error).__name__ else "connection"
    return "server" if isinstance(error, ai.AgentRunError) else None


def map_fault(
    error: BaseException, model: str, *, secret: str = "", key: str = ""
) -> HostError | None:
    """Return the host's error for a vendor's; None if it is not a vendor's but a defect.

    Args:
        error: What was raised.
        model: The model's name, `provider:name`.
        secret: The key, which some providers repeat in their refusal.
        key: Its name; empty: the provider's.
    """
    if isinstance(error, HostError):
        return error
    fault = fault_of(error)
    if fault is None:
        return None
    says, next_step = _SAYS[fault]
    detail = hidden(_detail(error), secret)
    after: float | None = getattr(error, "retry_after", None)
    wants = f" It wants to be asked again in {after:.0f} s." if after and after >= 1 else ""
    key = key or model.partition(":")[0].removesuffix("-chat")
    return ModelError(
        f"{model} {says}{f': {detail}' if detail else ''}.{wants}",
        model=model,
        fault=fault,
        retry_after=after,
        next_step=next_step.format(key=key) if next_step else None,
    )


def hidden(text: str, secret: str) -> str:
    """Return a provider's words without the key; a short one is an ordinary word of them."""
    return text.replace(secret, "[the key]") if len(secret) >= 8 else text


def _detail(error: BaseException) -> str:
    """Return the provider's own words, in one line; headers and requests are never looked at."""
    body = getattr(error, "body", None)
    text = _said(body) if isinstance(body, (dict, list, str)) else None
    if text is None:
        text = getattr(error, "message", None)
    text = " ".join(str(text if text is not None else error).split()).rstrip(".")
    return text if len(text) <= DETAIL_CHARS else f"{text[:DETAIL_CHARS]}…"


def _said(body: Any) -> str | None:  # noqa: ANN401 - whatever a provider sends
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        items = cast("list[Any]", body)
        return _said(items[0]) if items else None
    if isinstance(body, dict):
        fields = cast("dict[str, Any]", body)
        for key in ("error", "message"):
            if (found := _said(fields.get(key))) is not None:
                return found
    return None
