"""Writes `docs/servers/NAME.md` from a server's own answers: `python -m servers.docs NAME`."""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

from mcp_types import Tool
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from servers.launch import ServerSettings, create_server, load_settings_model

FOLDER = Path(__file__).parents[1] / "docs" / "servers"
START, END = "<!-- generated: python -m servers.docs {} -->", "<!-- end of the generated part -->"


def main() -> None:
    """Write the pages of the servers named on the command line."""
    parser = argparse.ArgumentParser("python -m servers.docs", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME")
    for name in parser.parse_args().names:
        page = FOLDER / f"{name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        before = page.read_text("utf-8") if page.exists() else f"# The {name} server\n"
        page.write_text(render_page(name, before), "utf-8")


def render_page(name: str, before: str) -> str:
    """Put the generated part into a page; what is written by hand around it stays.

    Args:
        name: The server.
        before: The page as it is.
    """
    start = START.format(name)
    head, _, rest = before.partition(start)
    tail = rest.partition(END)[2]
    return f"{head.rstrip()}\n\n{start}\n{render_reference(name)}\n{END}{tail or chr(10)}"


def render_reference(name: str) -> str:
    """List a server's settings and tools."""
    os.environ["FASTMCP_ENV_FILE"] = os.devnull
    model = load_settings_model(name)
    with tempfile.TemporaryDirectory() as folder:
        server = create_server(name, _example_settings(model, folder))
        tools = asyncio.run(_list_tools(server))
    parts = ["## Settings", "", _settings_table(model), "", "## Tools", "", _summary(tools)]
    for tool in tools:
        parts += ["", _render_tool(tool)]
    return "\n".join(parts)


def _example_settings(model: type[ServerSettings], folder: str) -> ServerSettings:
    """Settings with which the server can be built, and offers every tool it has."""
    examples: dict[str, object] = {"roots": [folder], "documents": [folder]}
    given = {name: examples[name] for name in model.model_fields if name in examples}
    return model.model_validate(given)


async def _list_tools(server: Any) -> list[Tool]:  # noqa: ANN401 - FastMCP is imported late
    found = await server.list_tools()
    return [tool.to_mcp_tool(name=tool.name) for tool in found]


def _settings_table(model: type[BaseModel]) -> str:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        rows.append(f"| `{name}` | {_default(field)} | {_cell(field.description or '')} |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return f"`{field.get_default(call_default_factory=True)!r}`"


def _summary(tools: list[Tool]) -> str:
    rows = ["| tool | what | changes | labels |", "|---|---|---|---|"]
    for tool in tools:
        first = (tool.description or "").split("\n", maxsplit=1)[0]
        rows.append(f"| `{tool.name}` | {_cell(first)} | {_effect(tool)} | {_labels(tool)} |")
    return "\n".join(rows)


def _effect(tool: Tool) -> str:
    hints = tool.annotations
    if hints is None or hints.read_only_hint:
        return "nothing"
    return "may overwrite or remove" if hints.destructive_hint else "adds"


def _labels(tool: Tool) -> str:
    return ", ".join((tool.meta or {}).get("host/labels", [])) or "none"


def _render_tool(tool: Tool) -> str:
    hints = tool.annotations
    flags = {
        "read-only": hints and hints.read_only_hint,
        "destructive": hints and hints.destructive_hint,
        "idempotent": hints and hints.idempotent_hint,
        "open world": hints and hints.open_world_hint,
    }
    said = ", ".join(name for name, value in flags.items() if value) or "none"
    lines = [f"### {tool.name}", "", tool.description or "", "", f"Annotations: {said}.", ""]
    lines += ["| argument | type | default | meaning |", "|---|---|---|---|"]
    schema = tool.input_schema
    needed = schema.get("required", [])
    for name, about in schema.get("properties", {}).items():
        default = "required" if name in needed else f"`{about.get('default')!r}`"
        meaning = _cell(about.get("description", ""))
        lines.append(f"| `{name}` | {_type(about)} | {default} | {meaning} |")
    output = tool.output_schema or {}
    fields = ", ".join(f"`{name}` ({_type(f)})" for name, f in output.get("properties", {}).items())
    return "\n".join([*lines, "", f"Answers with {fields}."])


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value!r}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", maxsplit=1)[-1]
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "anything"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
