"""`hashlib` for plugins: its tables of names, frozen."""

import hashlib
from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler.guards import Guards


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    return {
        "algorithms_available": frozenset(hashlib.algorithms_available),
        "algorithms_guaranteed": frozenset(hashlib.algorithms_guaranteed),
    }
