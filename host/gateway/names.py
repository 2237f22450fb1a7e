"""Catalog names: `server__tool`, legal for every model provider, whatever else is there."""

import hashlib
import re
from collections.abc import Iterable

LONGEST = 64
"""Characters that every provider accepts in a tool's name."""

_ILLEGAL = re.compile(r"[^a-zA-Z0-9_-]")


def catalog_name(prefix: str, original: str) -> str:
    """Return the name under which something of a server is offered.

    Characters that some provider refuses become `_`; a name over 64 characters keeps its beginning
    and ends in eight hexadecimal digits of its own SHA-256. With an empty prefix a name stays as it
    is, unless it is too long.
    """
    full = _full(prefix, original)
    legal = _ILLEGAL.sub("_", full) if prefix else full
    return legal if len(legal) <= LONGEST else _shorten(legal, full)


def catalog_names(prefix: str, originals: Iterable[str]) -> dict[str, str]:
    """Return the catalog name of each original; no two are the same.

    Where two originals differ only in characters that had to be replaced, the one that needed no
    change keeps its name and each other one gets digits of its own.
    """
    names: dict[str, str] = {}
    taken: dict[str, str] = {}
    ordered = sorted(originals, key=lambda name: catalog_name(prefix, name) != _full(prefix, name))
    for original in ordered:
        name = catalog_name(prefix, original)
        if name in taken:
            name = _shorten(name, _full(prefix, original))
        taken[name] = original
        names[original] = name
    return names


def qualified_uri(server: str, uri: str) -> str:
    """Return the address of a resource whose plain URI another server offers too."""
    return f"{server.replace('_', '-').lower()}+{uri}"


def _full(prefix: str, original: str) -> str:
    return f"{prefix}__{original}" if prefix else original


def _shorten(legal: str, full: str) -> str:
    digest = hashlib.sha256(full.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{legal[: LONGEST - 9]}_{digest}"
