"""`decimal` for plugins: the contexts that the library keeps, as copies of the plugin's own."""

import decimal
from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler.catalog import MADE
from host.sandbox.compiler.guards import Guards


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    return {name: getattr(decimal, name).copy() for name in MADE["decimal"].split()}
