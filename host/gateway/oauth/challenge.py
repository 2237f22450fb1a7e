"""Reading `WWW-Authenticate`: what a server that refuses a request asks for instead."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_PARAMETER = re.compile(rf'\s*,?\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))', re.ASCII)
_SCHEME = re.compile(rf"\s*,?\s*({_WORD})(?=\s|,|$)", re.ASCII)
_MAX_LENGTH = 8192


@dataclass(frozen=True, slots=True)
class BearerChallenge:
    """The parameters of a `Bearer` challenge; all of them may be missing.

    Attributes:
        error: Such as `invalid_token` or `insufficient_scope`.
        scopes: The rights that the request needs.
        resource_metadata: Address of the protected-resource metadata (RFC 9728).
    """

    error: str | None = None
    scopes: tuple[str, ...] = ()
    resource_metadata: str | None = None


def _parameters(text: str) -> Mapping[str, str]:
    position, scheme = 0, ""
    found: dict[str, str] = {}
    while position < len(text):
        if match := _PARAMETER.match(text, position):
            name, quoted, plain = match.groups()
            if scheme == "bearer":
                value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                found.setdefault(name.lower(), value)
        elif match := _SCHEME.match(text, position):
            if scheme == "bearer" and found:
                break
            scheme = match[1].lower()
        else:
            break
        position = match.end()
    return found


def parse_challenge(header: str | None) -> BearerChallenge:
    """Return the first `Bearer` challenge of a header; an empty one where there is none."""
    found = _parameters((header or "")[:_MAX_LENGTH])
    return BearerChallenge(
        error=found.get("error"),
        scopes=tuple(dict.fromkeys(found.get("scope", "").split())),
        resource_metadata=found.get("resource_metadata"),
    )
