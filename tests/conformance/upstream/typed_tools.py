"""Tools whose definitions and results exercise schemas, annotations, `_meta` and unknown fields."""

import os

from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from tests.conformance.upstream.call import Call
from tests.conformance.upstream.content import red_pixel, result, text
from tests.conformance.upstream.hub import JSON
from tests.conformance.upstream.tool import properties, tool

READ_ONLY: JSON = {"readOnlyHint": True, "idempotentHint": True, "openWorldHint": False}

ICON: JSON = {
    "src": f"data:image/png;base64,{red_pixel()}",
    "mimeType": "image/png",
    "sizes": ["1x1"],
}

_ADDRESS: JSON = {
    "$anchor": "addressDef",
    "type": "object",
    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
}

_SCHEMA_2020: JSON = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": _ADDRESS},
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


@tool(
    "echo",
    "Answers with the text it was given; the cheapest call there is.",
    properties("text", text="string"),
    title="Echo",
    annotations={"title": "Echo", **READ_ONLY},
    icons=[ICON],
    outputSchema=properties("text", text="string"),
    _meta={"com.example/origin": "conformance upstream"},
)
async def echo(call: Call) -> JSON:
    call.hub.calls += 1
    value = call.arguments["text"]
    return result(text(value), structuredContent={"text": value})


@tool(
    "note",
    "Answers like echo, and does not say that it changes nothing.",
    properties("text", text="string"),
)
async def note(call: Call) -> JSON:
    return await echo(call)


@tool(
    "add",
    "Adds two numbers.",
    properties("a", "b", a="number", b="number"),
    annotations=READ_ONLY,
    outputSchema=properties("sum", sum="number"),
)
async def add(call: Call) -> JSON:
    total = call.arguments["a"] + call.arguments["b"]
    return result(text(str(total)), structuredContent={"sum": total}, _meta={"com.example/n": 2})


@tool(
    "test_any_json",
    "Answers with a list as structured content to stateless callers, an object to others.",
)
async def any_json(call: Call) -> JSON:
    modern = call.ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
    value: object = [1, "two", None] if modern else {"items": [1, "two", None]}
    return result(text('[1, "two", null]'), structuredContent=value)


@tool("json_schema_2020_12_tool", "Has an input schema with keywords of 2020-12.", _SCHEMA_2020)
async def schema_2020(call: Call) -> JSON:
    return result(text(f"Called with {sorted(call.arguments)}."))


@tool(
    "test_x_mcp_header",
    "Has a parameter that clients mirror in an HTTP header.",
    {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "limit": {"type": "integer"},
        },
        "required": ["region"],
    },
)
async def x_mcp_header(call: Call) -> JSON:
    return result(text(f"Region {call.arguments['region']}."))


@tool(
    "test_app",
    "Is shown by an app: its result is rendered by the resource ui://test/app.html.",
    _meta={"ui": {"resourceUri": "ui://test/app.html", "visibility": ["model", "app"]}},
)
async def app(call: Call) -> JSON:
    return result(text("Shown in the app."), _meta={"ui": {"state": 1}})


@tool(
    "whoami", "Answers what the upstream knows of its caller: era, client, capabilities, session."
)
async def whoami(call: Call) -> JSON:
    session = call.ctx.session
    client = session.client_params.client_info if session.client_params else None
    request = call.ctx.request
    known: JSON = {
        "protocolVersion": call.ctx.protocol_version,
        "client": client.model_dump(by_alias=True, exclude_none=True) if client else None,
        "capabilities": call.capabilities(),
        "meta": sorted(call.ctx.meta or {}),
        "headers": sorted(request.headers) if request is not None else [],
        "pid": os.getpid(),
        "cwd": os.getcwd(),  # noqa: PTH109 - the text as the process sees it
    }
    return result(text(str(known)), structuredContent=known)
