"""The source for an idea: a notebook in memory, to be replaced by the author's own."""

from generator.literal import Code
from generator.shape import shape_of
from generator.spec import Group, Param, Source, Tool

_TEXT = shape_of({"type": "string", "minLength": 1, "maxLength": 2_000})
_NUMBER = shape_of({"type": "integer", "minimum": 1})


def read_blank() -> Source:
    """Return the source."""
    text = Param(
        "text", "text", _TEXT.annotation, required=True, description="What to write down.",
        type_name="string", sample="milk", wrong=[],
    )  # fmt: skip
    number = Param(
        "number", "number", _NUMBER.annotation, required=True,
        description="The note's number, as `list_notes` shows it.",
        type_name="integer", sample=1, wrong="no number",
    )  # fmt: skip
    tools = (
        Tool(
            "list_notes", "List notes", "List the notes with their numbers.",
            returns=Code("list[dict[str, Any]]"), call={"body": "list"},
        ),
        Tool(
            "add_note", "Add note", "Write a note down and return its number.", (text,),
            effect="adds", idempotent=False, returns=Code("dict[str, int]"),
            call={"body": "add"},
        ),
        Tool(
            "remove_note", "Remove note", "Remove a note for good.", (number,),
            effect="destroys", returns=Code("dict[str, str]"), call={"body": "remove"},
        ),
    )  # fmt: skip
    return Source(
        "blank", (Group("notes", "Notes", tools),), description="A notebook to start from."
    )
