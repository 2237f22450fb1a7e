"""Declares the tools of bundled servers: annotations, labels, output schema and errors."""

from typing import Any, Literal, TypedDict

from fastmcp.exceptions import ToolError
from fastmcp.tools import ToolResult
from mcp_types import ContentBlock, TextContent, ToolAnnotations
from pydantic import BaseModel

LABELS_KEY = "host/labels"
"""The key in a tool's `_meta` under which its labels stand."""

Label = Literal["untrusted", "private", "egress", "sends", "changes", "destructive"]
"""What a policy can match. untrusted: strangers wrote its output; private: it reads the user's own
data; egress: the question leaves this machine; sends: it reaches other people; changes: state
changes; destructive: beyond undoing."""


class Declaration(TypedDict):
    """Keyword arguments for `FastMCP.tool`."""

    title: str
    annotations: ToolAnnotations
    meta: dict[str, Any]
    output_schema: dict[str, Any]


def declare(
    title: str,
    output: type[BaseModel],
    *labels: Label,
    changes: Literal["no", "adds", "destroys"] = "no",
    idempotent: bool = True,
    open_world: bool = False,
) -> Declaration:
    """Describe a tool once, so that its annotations and its labels cannot disagree.

    Use: `@server.tool(**declare("Read text", Text, "private", "untrusted"))`.

    Args:
        title: The name that a person reads.
        output: The model of its structured output; its JSON schema becomes the output schema.
        labels: Labels beside `changes` and `destructive`, which follow from `changes`.
        changes: `no` = read-only, `adds` = never loses what was there, `destroys` = may overwrite
            or remove it.
        idempotent: Whether a second equal call has no further effect.
        open_world: Whether it reaches beyond this machine.
    """
    derived: list[Label] = {
        "no": [],
        "adds": ["changes"],
        "destroys": ["changes", "destructive"],
    }[changes]  # type: ignore[assignment]
    return Declaration(
        title=title,
        annotations=ToolAnnotations(
            title=title,
            read_only_hint=changes == "no",
            destructive_hint=changes == "destroys",
            idempotent_hint=idempotent,
            open_world_hint=open_world,
        ),
        meta={LABELS_KEY: [*labels, *derived]},
        output_schema=output.model_json_schema(mode="serialization"),
    )


def answer(text: str, output: BaseModel, *more: ContentBlock) -> ToolResult:
    """Answer with text for a reader and the same facts as structured output.

    Args:
        text: What a person or model reads.
        output: The structured output, an instance of the declared model.
        more: Further content blocks, such as an image.
    """
    structured = output.model_dump(mode="json")
    return ToolResult([TextContent(type="text", text=text), *more], structured)


class RefusalError(ToolError):
    """An expected failure of a tool: what went wrong, with which named thing, and what to try.

    Args:
        message: What happened, a full sentence.
        next_step: What the caller can do about it, a full sentence.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(f"{message} {next_step}".strip(), log_level=10)
        self.message = message
        self.next_step = next_step
