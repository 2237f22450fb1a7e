"""Keeps long tool results out of the model's context: it gets the beginning and pages through."""

from collections import OrderedDict
from collections.abc import Mapping

from host.domain.errors import NotFoundError

PAGE_TOOL = "read_more"
"""Name of the tool that an agent pages with; no catalog name has this form."""

CHARS_PER_TOKEN = 4
"""Characters that one token stands for, roughly, in English text and JSON."""

PAGE_SCHEMA = {
    "type": "object",
    "properties": {
        "result": {"type": "string", "description": "The id of the long result."},
        "offset": {"type": "integer", "minimum": 0, "description": "First character wanted."},
    },
    "required": ["result", "offset"],
    "additionalProperties": False,
}

_KEPT = 50
_KEPT_CHARS = 20_000_000


def count_tokens(text: str) -> int:
    """Return about how many tokens a text has."""
    return len(text) // CHARS_PER_TOKEN + 1


class Pages:
    """The long results of one run.

    Args:
        tokens: Tokens of one page.
    """

    def __init__(self, tokens: int) -> None:
        self._size = tokens * CHARS_PER_TOKEN
        self._texts: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._texts)

    def keep(self, texts: Mapping[str, str]) -> None:
        """Keep long results of earlier, by their names."""
        for name, text in texts.items():
            self._texts.setdefault(name, text)

    def first(self, name: str, text: str) -> str:
        """Return what the model gets of a result: all of it, or its first page."""
        if len(text) <= self._size:
            return text
        self._texts[name] = text
        while len(self._texts) > _KEPT or sum(map(len, self._texts.values())) > _KEPT_CHARS:
            if len(self._texts) == 1:
                break
            self._texts.popitem(last=False)
        return self.page(name, 0)

    def page(self, name: str, offset: int) -> str:
        """Return a page of a long result.

        Raises:
            NotFoundError: The result is not kept.
        """
        text = self._texts.get(name)
        if text is None:
            known = ", ".join(f"{one!r}" for one in self._texts) or "none"
            raise NotFoundError("long result", name, next_step=f"Those that are kept: {known}.")
        if offset >= len(text):
            last = (len(text) - 1) // self._size * self._size
            return f"[it has {len(text)} characters; its last page is at offset={last}]"
        end = min(len(text), offset + self._size)
        rest = (
            f"call {PAGE_TOOL} with result={name!r} and offset={end} for more"
            if end < len(text)
            else "this is the end"
        )
        return f"{text[offset:end]}\n[characters {offset} to {end} of {len(text)}; {rest}]"
