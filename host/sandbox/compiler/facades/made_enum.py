"""`enum` for plugins."""

from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler import enums
from host.sandbox.compiler.catalog import MADE
from host.sandbox.compiler.guards import Guards


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    return {name: getattr(enums, name) for name in MADE["enum"].split()}
