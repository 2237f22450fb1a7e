"""Writes values as literals of Python, TOML, YAML and Markdown, so that no value becomes code."""

import json
import keyword
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from generator.errors import GeneratorError


class Code(str):
    """Text that is source already: made by this module and by templates, never from input."""

    __slots__ = ()


def name(text: str) -> Code:
    """Return an identifier as source, after a look whether it is one.

    Raises:
        GeneratorError: It is not.
    """
    if not text.isascii() or not text.isidentifier() or keyword.iskeyword(text):
        raise GeneratorError(f"{text[:80]!r} is not a legal Python name.")
    return Code(text)


def clean(text: str) -> str:
    """Return a text without control characters and without those that hide or reorder text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    return "".join(c for c in text if c == "\n" or _is_visible(c))


def _is_visible(letter: str) -> bool:
    code = ord(letter)
    if code < 0x20 or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF:
        return False
    hidden = (0xAD, 0x61C, 0x180E, 0xFEFF, 0x2028, 0x2029)
    spans = ((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0xFFF0, 0xFFFB))
    tags = 0xE0000 <= code <= 0xE0FFF
    return not tags and code not in hidden and not any(a <= code <= b for a, b in spans)


def one_line(text: str, longest: int = 300) -> str:
    """Return a text on one line, cut at a word where it is too long."""
    return textwrap.shorten(" ".join(clean(text).split()), longest, placeholder=" …")


def python(value: object, indent: int = 0) -> Code:
    """Return a value as a Python literal, laid out as `ruff format` would.

    Args:
        value: Text, number, boolean, None, or lists and mappings of them; `Code` stays as it is.
        indent: Spaces before the line that it begins on.

    Raises:
        GeneratorError: It is of another type.
    """
    if isinstance(value, Code):
        return value
    if value is None or isinstance(value, bool):
        return Code(repr(value))
    if isinstance(value, int):
        return Code(repr(value))
    if isinstance(value, float):
        finite = value == value and abs(value) != float("inf")  # noqa: PLR0124 - asks for NaN
        return Code(repr(value) if finite else f'float("{value}")')
    if isinstance(value, str):
        return _text(value)
    return _collection(value, indent)


def _text(value: str) -> Code:
    """Quote as ruff does: double quotes, unless single ones need fewer escapes."""
    escaped = "".join(c if _plain(c) else c.encode("unicode_escape").decode() for c in value)
    if '"' in value and "'" not in value:
        return Code(f"'{escaped}'")
    return Code('"' + escaped.replace('"', '\\"') + '"')


def _plain(letter: str) -> bool:
    return letter not in "\\\n" and letter.isprintable() and _is_visible(letter)


def _collection(value: object, indent: int) -> Code:
    inner, outer = " " * (indent + 4), " " * indent
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value).items()
        lines = [f"{python(k)}: {python(v, indent + 4)}" for k, v in entries]
        opening, closing = "{", "}"
    elif isinstance(value, list | tuple):
        lines = [str(python(v, indent + 4)) for v in cast("Sequence[object]", value)]
        opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
    else:
        raise GeneratorError(f"A value of type {type(value).__name__} cannot be written down.")
    if not lines:
        return Code(opening + closing)
    if isinstance(value, tuple) and len(lines) == 1 and "\n" not in lines[0]:
        return Code(f"({lines[0]},)")
    body = "".join(f"{inner}{line},\n" for line in lines)
    return Code(f"{opening}\n{body}{outer}{closing}")


def docstring(text: str, indent: int = 4) -> Code:
    """Return a text as the inside of a docstring, wrapped; it cannot end the docstring.

    Args:
        text: Paragraphs, parted by empty lines.
        indent: Spaces before its lines, the first aside.
    """
    margin = " " * indent
    paragraphs: list[str] = []
    for part in re.split(r"\n\s*\n", clean(text).strip()):
        joined = " ".join(part.split()).replace("\\", "\\\\").replace('"""', "'''")
        if joined:
            paragraphs.append(textwrap.fill(joined, 96 - indent, break_long_words=False))
    whole = "\n\n".join(paragraphs)
    if whole.startswith('"'):
        whole = "'" + whole[1:]
    if whole.endswith('"'):
        whole = whole[:-1] + "'"
    return Code(textwrap.indent(whole, margin).strip())


def json_text(value: object) -> Code:
    """Return a value as JSON; YAML reads it the same, and TOML too where it is a text or number."""
    kept = clean(value) if isinstance(value, str) else value
    return Code(json.dumps(kept, ensure_ascii=False))


def markdown(value: object) -> Code:
    """Return a text for the middle of a Markdown line, without HTML, links or table cells."""
    text = one_line(str(value), 2_000)
    return Code(re.sub(r"([\\`*_\[\]<>|#!~$&])", r"\\\1", text))


def word(text: str) -> Code:
    """Return a text as a YAML scalar: bare where it is a word that can mean nothing else."""
    bare = re.fullmatch(r"[a-z][a-z0-9_]*(-[a-z0-9_]+)*", text)
    meant = text in ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
    return Code(text) if bare and not meant else json_text(text)


def comment(text: str) -> Code:
    """Return source as lines of a comment that begin with `#`, an empty one included."""
    return Code("".join(f"# {line}".rstrip() + "\n" for line in text.splitlines()))


def plain(value: object) -> Code:
    """Return a text for files that know no quoting, such as `.env` and Dockerfile.

    Raises:
        GeneratorError: It has any character that could mean something there.
    """
    text = str(value)
    if not re.fullmatch(r"[A-Za-z0-9_.:/@+=-]*", text):
        raise GeneratorError(f"{text[:80]!r} cannot be written to a file without quoting.")
    return Code(text)


Writer = Callable[[object], Code]
WRITERS: dict[str, Writer] = {
    ".py": python,
    ".toml": json_text,
    ".yaml": json_text,
    ".yml": json_text,
    ".json": json_text,
    ".md": markdown,
}
"""How a value is written where a template names it, by the suffix of the file."""


def writer_for(path: str) -> Writer:
    """Return how values are written in a file."""
    suffix = "." + path.rsplit("/", maxsplit=1)[-1].rpartition(".")[2]
    write = WRITERS.get(suffix, plain)
    return lambda value: value if isinstance(value, Code) else write(value)
