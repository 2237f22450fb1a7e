"""The upstream's resources, resource templates, prompts and completions."""

import json
import re

from mcp import MCPError
from mcp_types import INVALID_PARAMS

from tests.conformance.upstream.call import Call, content_of, elicitation
from tests.conformance.upstream.content import IMAGE, embedded, red_pixel, text
from tests.conformance.upstream.hub import JSON, Hub, is_modern

APP_HTML = "<!doctype html><title>App</title><p>Shown by the conformance upstream."
_LEGACY_NOT_FOUND = -32002
_TEMPLATE = re.compile(r"test://template/(?P<id>[^/]+)/data")
_CONTEXT: JSON = {"context": {"type": "string"}}


def _resource(uri: str, description: str, mime: str = "text/plain", **fields: object) -> JSON:
    name = uri.rsplit("/", 1)[1]
    return {"uri": uri, "name": name, "description": description, "mimeType": mime, **fields}


RESOURCES: list[JSON] = [
    _resource("test://static-text", "A text that never changes.", size=47),
    _resource("test://static-binary", "An image that never changes.", "image/png"),
    _resource("test://watched-resource", "Changes when touch_resource is called."),
    _resource("test://guarded", "Asks for a confirmation before it is read."),
    _resource("ui://test/app.html", "The app of test_app.", "text/html;profile=mcp-app"),
]

TEMPLATES: list[JSON] = [
    {
        "uriTemplate": "test://template/{id}/data",
        "name": "template-data",
        "description": "Data of one id.",
        "mimeType": "application/json",
    }
]


def list_resources(hub: Hub) -> list[JSON]:
    """Return the resources of the moment."""
    extra = [_resource("test://extra", "Comes and goes.")] if hub.extra_resource else []
    return RESOURCES + extra


def _text(uri: str, value: str, mime: str = "text/plain") -> JSON:
    return {"contents": [{"uri": uri, "mimeType": mime, "text": value}]}


async def read_resource(call: Call) -> JSON:
    """Answer `resources/read`."""
    uri = call.name
    if match := _TEMPLATE.fullmatch(uri):
        found = match["id"]
        data = {"id": found, "templateTest": True, "data": f"Data for ID: {found}"}
        return _text(uri, json.dumps(data), "application/json")
    if uri == "test://static-binary":
        return {"contents": [{"uri": uri, "mimeType": "image/png", "blob": red_pixel()}]}
    if uri == "test://guarded":
        answer = await call.ask({"context": elicitation("Why?", _CONTEXT)})
        return _text(uri, f"Read because: {answer['context'].get('content')}")
    return _plain(call, uri)


def _plain(call: Call, uri: str) -> JSON:
    match uri:
        case "test://static-text":
            return _text(uri, "This is the content of the static text resource.")
        case "test://watched-resource":
            return _text(uri, f"Touched {call.hub.touches.get(uri, 0)} times.")
        case "ui://test/app.html":
            return _text(uri, APP_HTML, "text/html;profile=mcp-app")
        case "test://extra" if call.hub.extra_resource:
            return _text(uri, "Here for now.")
        case _:
            code = INVALID_PARAMS if is_modern(call.ctx) else _LEGACY_NOT_FOUND
            raise MCPError(code, "Resource not found", {"uri": uri})


def _argument(name: str) -> JSON:
    return {"name": name, "description": f"The {name}.", "required": True}


PROMPTS: list[JSON] = [
    {"name": "test_simple_prompt", "title": "Simple", "description": "Has no arguments."},
    {
        "name": "test_prompt_with_arguments",
        "description": "Has two arguments.",
        "arguments": [_argument("arg1"), _argument("arg2")],
    },
    {
        "name": "test_prompt_with_embedded_resource",
        "description": "Embeds the resource it is given.",
        "arguments": [_argument("resourceUri")],
    },
    {"name": "test_prompt_with_image", "description": "Has an image."},
    {"name": "test_input_required_result_prompt", "description": "Asks before it answers."},
]


def list_prompts(hub: Hub) -> list[JSON]:
    """Return the prompts of the moment."""
    extra: JSON = {"name": "test_extra_prompt", "description": "Comes and goes."}
    return PROMPTS + ([extra] if hub.extra_prompt else [])


def _messages(*blocks: JSON) -> JSON:
    return {"messages": [{"role": "user", "content": block} for block in blocks]}


async def get_prompt(call: Call) -> JSON:
    """Answer `prompts/get`."""
    given = call.arguments
    match call.name:
        case "test_simple_prompt":
            return _messages(text("This is a simple prompt for testing."))
        case "test_prompt_with_arguments":
            words = f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'"
            return _messages(text(words))
        case "test_prompt_with_embedded_resource":
            uri = given.get("resourceUri", "test://example-resource")
            resource = embedded(uri, "Embedded resource content for testing.")
            return _messages(resource, text("Please process the embedded resource above."))
        case "test_prompt_with_image":
            return _messages(IMAGE, text("Please analyze the image above."))
        case "test_input_required_result_prompt":
            question = "What context should the prompt use?"
            request = elicitation(question, _CONTEXT, required=["context"])
            answer = (await call.ask({"user_context": request}))["user_context"]
            return _messages(text(f"Context: {content_of(answer).get('context')}"))
        case "test_extra_prompt" if call.hub.extra_prompt:
            return _messages(text("Here for now."))
        case _:
            raise MCPError(INVALID_PARAMS, f"Unknown prompt: {call.name}")


_WORDS = ("paris", "park", "party", "test", "testing", "tokyo")


def complete(reference: JSON, argument: JSON) -> JSON:
    """Answer `completion/complete`: known words, or ids for the template."""
    if reference["type"] == "ref/resource":
        values = [str(n) for n in range(120, 130)]
    else:
        values = list(_WORDS)
    found = [value for value in values if value.startswith(argument["value"])]
    return {"completion": {"values": found, "total": len(found), "hasMore": False}}
