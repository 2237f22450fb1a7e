"""Cursors: where a page ended, written as an opaque word that the next call gives back."""

import base64
import binascii
import json
from dataclasses import dataclass

from servers.files.beneath import Parts
from servers.files.walking import Key, path_key
from servers.tool import RefusalError


@dataclass(frozen=True)
class Cursor:
    """The last place of a page."""

    parts: Parts
    is_folder: bool = False
    line: int = 0
    """The last line shown of a file that may have more; 0 for none."""

    @property
    def key(self) -> Key:
        """Its place in the walk's order."""
        return path_key(self.parts, is_folder=self.is_folder)

    def render(self) -> str:
        """Write it as a word."""
        data = json.dumps([self.parts, self.is_folder, self.line], separators=(",", ":"))
        return base64.urlsafe_b64encode(data.encode()).decode().rstrip("=")


def parse_cursor(word: str | None) -> Cursor | None:
    """Read a cursor back.

    Raises:
        RefusalError: When the word is none of ours.
    """
    if not word:
        return None
    try:
        parts, is_folder, line = json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))
        return Cursor(tuple(map(str, parts)), bool(is_folder), int(line))
    except (ValueError, TypeError, binascii.Error) as error:
        raise RefusalError(
            f"{word!r} is not a cursor.", "Give back `next_cursor` of the page before, or none."
        ) from error
