"""Finds text that a model reads and a person does not see.

The attack: a description carries instructions in characters without a glyph (Unicode tags,
variation selectors, zero-width bits), or is turned around by bidirectional controls, so that what
was reviewed is not what is read.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from host.pins.finding import Severity, visible

_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{2,6}\U000e007f")
"""Flags of regions (England, Texas) are the one lawful use of tags."""

_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}|[\U000e0100-\U000e01ef]")
"""One selector may follow a picture or an ideograph; a run of them is a hidden message."""

_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MARKS = re.compile("[\u200e\u200f\u061c]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u2064\u206a-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb]+"
)
_JOINERS = re.compile("[\u200c\u200d]+")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]+")
_BLANKS = re.compile(r"[ \t\u00a0\u2000-\u200a\u3000]{200,}|(?:[ \t]{0,200}\r?\n){30,}")

_MANY = 4
"""Invisible characters in one text from which they are more than a slip of an editor."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """Hidden text in one string."""

    severity: Severity
    detail: str
    quote: str | None = None


def find_hidden(text: str) -> Iterator[Hidden]:
    """Yield what a string hides."""
    if text.isascii() and _CONTROLS.search(text) is None:
        yield from _find_blanks(text)
        return
    yield from _find_messages(_FLAG.sub("", text))
    if (found := _BIDI.search(text)) is not None:
        yield Hidden("danger", f"text is turned around by U+{ord(found[0]):04X}")
    elif (found := _MARKS.search(text)) is not None and not _is_right_to_left(text):
        yield Hidden("warning", f"a direction mark U+{ord(found[0]):04X} in left-to-right text")
    yield from _find_invisible(text)
    yield from _find_controls(text)
    yield from _find_blanks(text)


def strip_hidden(text: str) -> str:
    """Return what is left when everything without a glyph is taken out."""
    for pattern in (_FLAG, _TAGS, _SELECTORS, _BIDI, _MARKS, _INVISIBLE, _JOINERS):
        text = pattern.sub("", text)
    return text


def decode_hidden(text: str) -> str:
    """Return the messages that are written in tags and variation selectors, in clear."""
    tags = "".join(chr(ord(c) - 0xE0000) for run in _TAGS.findall(_FLAG.sub("", text)) for c in run)
    runs: list[str] = [found[0] for found in _SELECTORS.finditer(text)]
    data = bytes(_selector_byte(letter) for run in runs for letter in run)
    message = data.decode("utf-8", "replace")
    return tags + message


def _selector_byte(letter: str) -> int:
    """Return the byte that a variation selector stands for, as messages are smuggled in them."""
    code = ord(letter)
    return code - 0xFE00 if code < 0xFE10 else min(255, code - 0xE0100 + 16)


def _find_messages(text: str) -> Iterator[Hidden]:
    for name, pattern in (("Unicode tags", _TAGS), ("variation selectors", _SELECTORS)):
        if (found := pattern.search(text)) is not None:
            said = visible(decode_hidden(text))
            count = sum(len(each) for each in pattern.findall(text))
            if pattern is _SELECTORS and count == 1 and _is_ideograph(text, found.start()):
                continue
            yield Hidden("danger", f"{count} {name} carry a hidden text", said)


def _find_invisible(text: str) -> Iterator[Hidden]:
    count = sum(
        len(each) for each in _INVISIBLE.findall(text[1:] if text[:1] == "\ufeff" else text)
    )
    count += sum(1 for each in _JOINERS.finditer(text) if not _may_join(text, each))
    if count:
        how: Severity = "danger" if count >= _MANY else "warning"
        yield Hidden(how, f"{count} characters have no glyph", visible(text))


def _find_controls(text: str) -> Iterator[Hidden]:
    if (found := _CONTROLS.search(text)) is not None:
        how: Severity = "danger" if "\x1b" in text or "\x9b" in text else "warning"
        yield Hidden(how, f"a control character U+{ord(found[0][0]):04X}")
    if (found := _PRIVATE.search(text)) is not None:
        yield Hidden("warning", f"a character of private meaning U+{ord(found[0][0]):04X}")


def _find_blanks(text: str) -> Iterator[Hidden]:
    if (found := _BLANKS.search(text.rstrip())) is not None:
        rest = visible(text[found.end() :].strip())
        yield Hidden("warning", f"text stands far behind {len(found[0])} blanks", rest)


def _may_join(text: str, found: re.Match[str]) -> bool:
    """Whether a joiner stands where writing needs it: between emoji, or in a joining script."""
    before, after = text[: found.start()][-1:], text[found.end() :][:1]
    if len(found[0]) > 1 or not before or not after:
        return False
    return not (_is_plain(before) or _is_plain(after))


def _is_plain(letter: str) -> bool:
    """Whether a letter is of a script that never joins."""
    return letter.isascii() or unicodedata.name(letter, "").startswith(("LATIN", "GREEK", "CYR"))


def _is_ideograph(text: str, at: int) -> bool:
    return unicodedata.name(text[at - 1 : at] or " ", "").startswith("CJK")


def _is_right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
