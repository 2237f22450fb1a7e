"""Bytes to text and back: encodings, byte order marks, line ends, digests."""

import codecs
import hashlib
from dataclasses import dataclass

from servers.files.names import nearest
from servers.tool import RefusalError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON = ("utf-8", "utf-16", "utf-32", "latin-1", "cp1252", "shift_jis", "gb18030", "euc_kr")
_BINARY_PROBE = 8192


@dataclass(frozen=True)
class Decoded:
    """A text and what is needed to write it back the same way."""

    text: str
    encoding: str
    """The codec, byte order mark included (`utf-8-sig`)."""
    newline: str
    """The line end used most: `\\n` or `\\r\\n`."""


def digest_of(data: bytes) -> str:
    """Name a content: `sha256:` and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def same_digest(given: str, actual: str) -> bool:
    """Compare a digest as a caller gives it, with or without `sha256:`."""
    return given.strip().lower().removeprefix("sha256:") == actual.removeprefix("sha256:")


def is_binary(data: bytes) -> bool:
    """Whether content looks like no text: a NUL early on, and no UTF-16 or UTF-32 mark."""
    probe = data[:_BINARY_PROBE]
    return b"\0" in probe and not any(probe.startswith(mark) for mark, _ in _MARKS[1:])


def find_encoding(encoding: str, data: bytes) -> str:
    """The codec to read `data` with; `auto` goes by the byte order mark, else UTF-8.

    Raises:
        RefusalError: When no text codec has this name.
    """
    if encoding == "auto":
        return next((codec for mark, codec in _MARKS if data.startswith(mark)), "utf-8")
    try:
        codec = codecs.lookup(encoding)
        "".encode(codec.name)
    except (LookupError, ValueError) as error:
        near = nearest(encoding.lower(), _COMMON) or _COMMON
        raise RefusalError(
            f"There is no text encoding {encoding!r}.", f"Try {', '.join(near)}, or 'auto'."
        ) from error
    # With a mark in the file, plain UTF-8 would show the mark as a character.
    if codec.name == "utf-8" and data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    return codec.name


def decode(data: bytes, encoding: str, shown: str) -> Decoded:
    """Decode a file's bytes strictly.

    Args:
        data: The file's bytes.
        encoding: A codec, or `auto`.
        shown: The path, for the message.

    Raises:
        RefusalError: When the bytes are not text of that encoding; says where and what else to try.
    """
    codec = find_encoding(encoding, data)
    if encoding == "auto" and is_binary(data):
        raise RefusalError(
            f"{shown!r} is not text: it holds NUL bytes.",
            "Use `read_media` for its bytes, or name the encoding.",
        )
    try:
        text = data.decode(codec)
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        raise RefusalError(
            f"{shown!r} is not {codec}: byte {at} does not decode.",
            "Name another encoding, such as cp1252 or latin-1, or use `read_media` for its bytes.",
        ) from error
    crlf = text.count("\r\n")
    return Decoded(text, codec, "\r\n" if crlf * 2 > text.count("\n") else "\n")


def encode(text: str, encoding: str, shown: str, *, like: bytes = b"") -> bytes:
    """Encode a text for a file.

    Args:
        text: What to write.
        encoding: A codec, or `auto` for that of `like`.
        shown: The path, for the message.
        like: The start of the content that is replaced.

    Raises:
        RefusalError: When the encoding lacks one of the characters.
    """
    codec = find_encoding(encoding, like)
    mark = next((m for m, c in _MARKS if c == codec and like.startswith(m)), b"")
    if codec in {"utf-16", "utf-32"} and mark:
        # The plain codec would write this machine's byte order, not the file's.
        order = "le" if mark in {codecs.BOM_UTF16_LE, codecs.BOM_UTF32_LE} else "be"
        return mark + text.encode(f"{codec}-{order}")
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        raise RefusalError(
            f"{text[error.start]!r} cannot be written to {shown!r} as {codec}.",
            "Use encoding utf-8.",
        ) from error
