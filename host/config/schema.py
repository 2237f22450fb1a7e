"""The JSON Schema of host.yaml, by which editors complete and check it."""

import json
from typing import cast

from host.config.names import MAX_NAME
from host.config.settings import Settings
from host.config.yaml import Json, as_mapping

_REFERENCE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}
_NAME = {"pattern": "^(?!.*__)[a-z0-9]([a-z0-9_-]*[a-z0-9])?$", "maxLength": MAX_NAME}


def render_schema() -> str:
    """Return the schema of host.yaml as JSON text."""
    schema = Settings.model_json_schema(by_alias=True)
    schema = cast("dict[str, Json]", _allow_references(schema))
    properties = schema["properties"]
    properties["servers"]["propertyNames"] = _NAME
    # The block that clients use takes their words, which are many; it is checked when read.
    properties["mcpServers"]["additionalProperties"] = {"type": "object"}
    server = schema["$defs"]["ServerConfig"]["properties"]
    server["type"] = {**server["transport"], "description": "The same as transport."}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "host.yaml"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _allow_references(node: Json) -> Json:
    """Let a `${VARIABLE}` stand wherever a number or a truth value is expected."""
    if isinstance(node, list):
        return [_allow_references(item) for item in cast("list[Json]", node)]
    members = as_mapping(node)
    if members is None:
        return node
    out = {key: _allow_references(item) for key, item in members.items()}
    if isinstance(out.get("enum"), list):
        # `typing` takes two literals of the same words for one, whichever was made first.
        out["enum"] = sorted(cast("list[Json]", out["enum"]), key=str)
    if out.get("type") not in ("integer", "number", "boolean"):
        return out
    outer = {key: out.pop(key) for key in ("description", "default", "title") if key in out}
    return {**outer, "anyOf": [out, _REFERENCE]}
