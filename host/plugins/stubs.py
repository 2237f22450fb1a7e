"""The catalog as Python: importable functions with types, for programs that call tools."""

import json
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import list_member, object_member
from host.gateway.catalog import Entry

MAX_DESCRIPTION = 300
"""Characters of a tool's description in its stub."""

_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "array": "list",
    "object": "dict",
}


@dataclass(frozen=True, slots=True)
class Stub:
    """One tool as a function.

    Attributes:
        module: Module it is in, without `tools.`.
        function: Its name there.
        tool: Catalog name.
        parameters: Names of its parameters, required ones first.
        text: Signature and docstring.
        summary: First line of its description.
    """

    module: str
    function: str
    tool: str
    parameters: tuple[str, ...]
    text: str
    summary: str


def make_stubs(entries: Iterable[Entry], *, without: Iterable[str] = ()) -> list[Stub]:
    """Return a stub for each tool; names that are no Python names are changed into some.

    Args:
        entries: Tools of the catalog.
        without: First parts of names that get none.
    """
    left_out = frozenset(without)
    found: dict[tuple[str, str], Stub] = {}
    for entry in entries:
        if entry.server.name not in left_out:
            stub = _stub(entry)
            found.setdefault((stub.module, stub.function), stub)
    return list(found.values())


def modules_of(stubs: Iterable[Stub]) -> dict[str, dict[str, list[str]]]:
    """Return the stubs as the sandbox takes them: module, function, then what it calls."""
    modules: dict[str, dict[str, list[str]]] = {}
    for stub in stubs:
        modules.setdefault(stub.module, {})[stub.function] = [stub.tool, *stub.parameters]
    return modules


def render_modules(stubs: Iterable[Stub]) -> str:
    """Return the text of whole modules."""
    by_module: dict[str, list[Stub]] = {}
    for stub in stubs:
        by_module.setdefault(stub.module, []).append(stub)
    return "\n\n".join(
        "\n".join([f"# tools.{module}", *(stub.text for stub in members)])
        for module, members in by_module.items()
    )


def render_index(stubs: Iterable[Stub]) -> str:
    """Return one line for each tool, for choosing."""
    return "\n".join(f"tools.{one.module}.{one.function}: {one.summary}" for one in stubs)


def python_name(text: str) -> str:
    """Return a Python name that looks like a given text."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII) or "_"
    if name[0].isdigit() or keyword.iskeyword(name):
        name = f"t_{name}"
    return f"t{name}" if name.startswith("_") else name


def _stub(entry: Entry) -> Stub:
    definition = entry.definition
    prefix = f"{entry.server.config.prefix or entry.server.name}__"
    module = python_name(entry.server.name)
    function = python_name(entry.name.removeprefix(prefix))
    schema = object_member(definition, "inputSchema")
    properties = object_member(schema, "properties")
    required = [str(name) for name in list_member(schema, "required") if name in properties]
    names = [*required, *(name for name in properties if name not in required)]
    said = " ".join(str(definition.get("description") or "").split())[:MAX_DESCRIPTION]
    signature = ", ".join(_parameter(name, properties, needed=name in required) for name in names)
    text = f"def {function}({signature}) -> {_result(object_member(definition, 'outputSchema'))}:"
    text += f"\n    {json.dumps(said, ensure_ascii=False)}" if said else "\n    ..."
    summary = re.split(r"(?<=[.!?]) ", said, maxsplit=1)[0]
    return Stub(module, function, entry.name, tuple(names), text, summary)


def _parameter(name: str, properties: Mapping[str, Any], *, needed: bool) -> str:
    schema = as_object(properties[name]) or {}
    safe = name if name.isidentifier() and not keyword.iskeyword(name) else f"**{{{name!r}}}"
    kind = annotation(schema)
    if needed:
        return f"{safe}: {kind}"
    return f"{safe}: {kind} = {schema['default']!r}" if "default" in schema else f"{safe}: {kind}=…"


def _result(schema: Json) -> str:
    properties = object_member(schema, "properties")
    if not schema:
        return "str"
    if properties.keys() == {"result"}:
        return annotation(object_member(properties, "result"))
    return annotation(schema, fields=True)


def annotation(schema: Json, *, fields: bool = False, depth: int = 2) -> str:
    """Return the Python type that a JSON schema describes, as far as one line can.

    Args:
        schema: The schema.
        fields: Whether an object's members are named.
        depth: Levels that are looked into.
    """
    if depth == 0:
        members = object_member(schema, "properties") if fields else {}
        return (
            f"{{{', '.join(members)}}}" if members else _TYPES.get(str(schema.get("type")), "Any")
        )
    if "enum" in schema:
        return f"Literal[{', '.join(repr(one) for one in list_member(schema, 'enum')[:12])}]"
    options = list_member(schema, "anyOf") or list_member(schema, "oneOf")
    if options:
        kinds = [annotation(as_object(one) or {}, fields=fields, depth=depth) for one in options]
        return " | ".join(dict.fromkeys(kinds))
    kinds = list_member(schema, "type") or [schema.get("type")]
    return " | ".join(_named(str(kind), schema, fields=fields, depth=depth - 1) for kind in kinds)


def _named(kind: str, schema: Json, *, fields: bool, depth: int) -> str:
    """Return the type of a schema that names it."""
    items, members = object_member(schema, "items"), object_member(schema, "properties")
    if kind == "array" and items:
        return f"list[{annotation(items, fields=fields, depth=depth)}]"
    if kind == "object" and members and fields:
        shown = [
            f"{name}: {annotation(as_object(one) or {}, fields=True, depth=depth)}"
            for name, one in members.items()
        ]
        return f"{{{', '.join(shown)}}}"
    return _TYPES.get(kind, "Any")
