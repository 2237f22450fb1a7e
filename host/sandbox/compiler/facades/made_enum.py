"""`enum` for plugins."""

import enum
from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler import enums
from host.sandbox.compiler.catalog import MADE
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.kinds import stand_in


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    kind = stand_in(enum.EnumType)
    found = {name: getattr(enums, name, kind) for name in MADE["enum"].split()}
    return {**found, "EnumType": kind, "EnumMeta": kind}
