"""Digests of definitions, the same however a server orders members and sets."""

import hashlib
import json
from functools import lru_cache
from typing import cast

from host.domain.jsonrpc import Json, as_object

_SETS = frozenset({"required", "enum", "type", "tags"})
"""Members whose lists of texts are sets: some servers give them in another order each time."""

_NAMING = ("name", "title")
"""What a renamed definition differs in."""


def digest_definition(definition: Json) -> str:
    """Return the digest by which a definition is known, 64 hexadecimal digits."""
    text = json.dumps(_canonical(definition), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_body(definition: Json) -> str:
    """Return the digest of everything but the names, which a renamed definition keeps."""
    body = {key: value for key, value in definition.items() if key not in _NAMING}
    annotations = as_object(body.get("annotations"))
    if annotations is not None:
        body["annotations"] = {k: v for k, v in annotations.items() if k not in _NAMING}
    return digest_definition(body)


@lru_cache(maxsize=4096)
def digest_pin(origin: str, definition: str) -> str:
    """Return the digest of a definition together with where it comes from.

    Approvals and grants are bound to it, so that they end with either.
    """
    return hashlib.sha256(f"{origin}\n{definition}".encode()).hexdigest()


def _canonical(value: object, *, member: str = "") -> object:
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {key: _canonical(inner, member=key) for key, inner in items}
    if isinstance(value, list):
        inner = [_canonical(each) for each in cast("list[object]", value)]
        texts = [each for each in inner if isinstance(each, str)]
        return sorted(texts) if member in _SETS and len(texts) == len(inner) else inner
    return value
