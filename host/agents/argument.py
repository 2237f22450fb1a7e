"""What is wrong with the arguments of a call; for an agent's tools and the host's own."""

import json
import re
from functools import lru_cache
from typing import Any

import jsonschema_rs

from host.domain.jsonrpc import Json

SAID = frozenset({"message", "earlier", "remark"})
"""Arguments that are said to somebody."""

_ERRORS_SHOWN = 5
_ODD = re.compile("[\x00\ud800-\udfff]")


def schema_faults(schema: Json, value: object) -> list[str]:
    """Return the first faults of a value; a bad schema finds none."""
    validator = _validator(json.dumps(schema, sort_keys=True))
    if validator is None:
        return []
    faults: list[str] = []
    for error in validator.iter_errors(value):
        place = "/".join(str(part) for part in error.instance_path) or "top level"
        faults.append(f"{place}: {error.message}")
        if len(faults) >= _ERRORS_SHOWN:
            break
    return faults


def name_faults(arguments: Json) -> list[str]:
    """Return which arguments are no text that a name, an id or a search could have.

    What is said to an agent or a model may have any characters: it is not looked up.
    """
    return [
        f"{name}: it has a NUL, or half of a surrogate pair"
        for name, value in arguments.items()
        if isinstance(value, str) and name not in SAID and _ODD.search(value)
    ]


@lru_cache(maxsize=512)
def _validator(schema: str) -> Any:  # noqa: ANN401 - one of several classes of the package
    try:
        return jsonschema_rs.validator_for(
            json.loads(schema), pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return None
