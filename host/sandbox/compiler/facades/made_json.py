"""`json` for plugins: a decoder that shows its inside to no subclass's `__setattr__`."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# Why: guards and facades take and give objects of any type.

import json
from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler.guards import Guards


class JSONDecoder(json.JSONDecoder):
    """Reads JSON; a subclass may give the hooks."""

    def __init__(self, **options: Any) -> None:
        vars(self).update(vars(json.JSONDecoder(**options)))


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    return {"JSONDecoder": JSONDecoder}
