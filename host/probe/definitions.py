"""Checks what a server lists, without a call: names, texts, schemas, annotations, hidden orders."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import jsonschema_rs

from host.pins.check import check_definition
from host.probe.finding import Level, Report

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_PROVIDERS_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
COSTLY = 10_000
"""Tokens of a list of tools from which it is worth a warning."""


def check_tools(report: Report, tools: list[dict[str, Any]]) -> None:
    """Check the tools of a server, as they are on the wire."""
    report.tools = len(tools)
    report.tokens = sum(count_tokens(tool) for tool in tools)
    if report.tokens > COSTLY:
        report.add(
            "warning",
            "cost",
            subject="server",
            message=f"The list of tools costs a model about {report.tokens:,} tokens in every "
            f"conversation; over {COSTLY:,} is a lot.",
        )
    check_duplicates(report, [str(tool.get("name")) for tool in tools], "tools")
    for tool in tools:
        _check_tool(report, tool)


def check_duplicates(report: Report, names: list[str], what: str) -> None:
    """Report names or URIs that two of some things have."""
    for name, number in sorted(Counter(names).items()):
        if number > 1:
            report.add("error", "name", subject=name, message=f"Two {what} have this name.")


def add_suspicions(report: Report, subject: str, definition: dict[str, Any]) -> None:
    """Report hidden text, look-alikes and orders to the model, wherever a definition has them."""
    levels: dict[str, Level] = {"danger": "error", "warning": "warning", "note": "note"}
    for found in check_definition(definition):
        quote = f": {found.quote}" if found.quote else ""
        place = f" at {found.where}" if found.where else ""
        report.add(
            levels[found.severity],
            found.kind.replace("_", "-"),
            subject=subject,
            message=f"{found.detail}{place}{quote}",
        )


def count_tokens(value: object) -> int:
    """Return about how many tokens a definition costs: a quarter of its characters as JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) // 4


def _check_tool(report: Report, tool: dict[str, Any]) -> None:
    name = str(tool.get("name"))
    if not _NAME.fullmatch(name):
        text = "The name has other characters than A-Z, a-z, 0-9, '_', '-', '.', or over 128."
        report.add("error", "name", subject=name[:80], message=text)
    elif not _PROVIDERS_NAME.fullmatch(name):
        text = "Some models take names of a-z, A-Z, 0-9, '_' and '-' only, of at most 64."
        report.add("warning", "name", subject=name, message=text)
    if not str(tool.get("description") or "").strip():
        report.add("warning", "description", subject=name, message="It has no description.")
    _check_annotations(report, name, tool.get("annotations"))
    for key in ("inputSchema", "outputSchema"):
        if key in tool:
            _check_schema(report, name, key, tool[key])
    add_suspicions(report, name, tool)


def _check_annotations(report: Report, name: str, value: object) -> None:
    if not isinstance(value, Mapping):
        text = "It has no annotations: clients cannot tell whether it only reads."
        report.add("note", "annotations", subject=name, message=text)
        return
    hints = cast("Mapping[str, object]", value)
    if hints.get("readOnlyHint") is True and hints.get("destructiveHint") is True:
        text = "It says that it only reads, and that it destroys."
        report.add("error", "annotations", subject=name, message=text)


def _check_schema(report: Report, name: str, key: str, schema: object) -> None:
    if not isinstance(schema, dict):
        report.add("error", "schema", subject=name, message=f"{key} is not an object.")
        return
    typed = cast("dict[str, Any]", schema)
    if key == "inputSchema" and typed.get("type") != "object":
        report.add("error", "schema", subject=name, message=f"{key} is not of type object.")
    if remote := _remote_reference(typed):
        text = f"{key} refers to {remote[:80]!r}, which clients do not fetch."
        report.add("error", "schema", subject=name, message=text)
        return
    try:
        jsonschema_rs.validator_for(typed)
    except (ValueError, TypeError) as error:
        text = f"{key} is no JSON Schema: {str(error).splitlines()[0][:200]}"
        report.add("error", "schema", subject=name, message=text)
        return
    properties = as_object(typed.get("properties")).items()
    bare = [repr(one) for one, about in properties if "description" not in as_object(about)]
    if key == "inputSchema" and bare:
        text = f"Arguments without a description: {', '.join(bare[:20])}."
        report.add("note", "description", subject=name, message=text)


def as_object(value: object) -> dict[str, Any]:
    """Return a value where it is an object, and an empty one where it is not."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _remote_reference(schema: object, depth: int = 0) -> str | None:
    if depth > 60:
        return None
    if isinstance(schema, dict):
        typed = cast("dict[str, object]", schema)
        ref = typed.get("$ref")
        if isinstance(ref, str) and not ref.startswith("#"):
            return ref
        values: list[object] = list(typed.values())
    elif isinstance(schema, list):
        values = cast("list[object]", schema)
    else:
        return None
    found = (_remote_reference(value, depth + 1) for value in values)
    return next((ref for ref in found if ref), None)
