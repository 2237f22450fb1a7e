"""What a tool's result says to a model: its text and its files, as recorded and as given."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai.messages import BinaryContent, ToolReturnPart

from host.agents.toolbox import ToolAnswer
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import list_member, object_member
from host.models.media import TEXT_TYPES

LARGEST_FILE = 8_000_000
"""Bytes; providers take little more, and each request of the run sends the file again."""

DOCUMENT = "application/pdf"
"""The kind of document that is passed on; a provider refuses requests with one it cannot read."""

_FILES: TypeAdapter[list[BinaryContent]] = TypeAdapter(list[BinaryContent])


def answer_of(result: Json) -> ToolAnswer:
    """Return a `CallToolResult` as the model reads it: a line for each file, and the files."""
    parts: list[str] = []
    files: list[BinaryContent] = []
    for block in list_member(result, "content"):
        text, file = _read(as_object(block) or {})
        parts.append(text)
        if file is not None:
            files.append(file)
    structured = result.get("structuredContent")
    if not parts and structured is not None:
        parts.append(json.dumps(structured, ensure_ascii=False))
    return ToolAnswer(
        "\n".join(parts), result.get("isError") is True, structured, files=tuple(files)
    )


def _read(block: Json) -> tuple[str, BinaryContent | None]:
    """Return a content block as text, and the file in it."""
    match block.get("type"):
        case "text":
            return str(block.get("text", "")), None
        case "resource":
            return _resource(object_member(block, "resource"))
        case "resource_link":
            return f"[resource {block.get('uri')}]", None
        case kind:
            return _file(str(kind), block.get("data"), str(block.get("mimeType") or ""))


def _resource(resource: Json) -> tuple[str, BinaryContent | None]:
    name = f"resource {resource.get('uri')}"
    if "blob" not in resource:
        return str(resource.get("text") or f"[{name}]"), None
    return _file(name, resource["blob"], str(resource.get("mimeType") or ""))


def _file(name: str, data: object, media_type: str) -> tuple[str, BinaryContent | None]:
    """Return a line about a file, and the file if it is of a kind that models read."""
    try:
        content = base64.b64decode(str(data or ""), validate=True)
    except binascii.Error:
        return f"[{name} {media_type}, which is not Base64]", None
    told = f"{name} {media_type}, {len(content)} bytes"
    file = BinaryContent(content, media_type=media_type)
    if media_type.startswith(TEXT_TYPES):
        return content.decode(errors="replace"), None
    readable = file.is_image or file.is_audio or file.is_video or media_type == DOCUMENT
    if not content or not readable:
        return f"[{told}]", None
    if len(content) > LARGEST_FILE:
        return f"[{told}; not shown, since it is larger than {LARGEST_FILE} bytes]", None
    return f"[{told}]", file


def dump_files(files: Sequence[BinaryContent]) -> list[Json]:
    """Return files as JSON, for the record."""
    return _FILES.dump_python(list(files), mode="json")


def result_part(data: Json) -> ToolReturnPart:
    """Return a recorded result as the model gets it."""
    text, files = str(data["text"]), load_files(data)
    content: Any = [text, *files] if files else text
    return ToolReturnPart(str(data["tool"]), content, tool_call_id=str(data["id"]))


def load_files(data: Json) -> list[BinaryContent]:
    """Return the files of a recorded result."""
    return _FILES.validate_python(data["files"]) if data.get("files") else []
