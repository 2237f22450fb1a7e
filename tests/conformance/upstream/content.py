"""Small literals that tools, prompts and resources of the conformance upstream answer with."""

from base64 import b64encode
from struct import pack
from zlib import compress, crc32

from tests.conformance.upstream.hub import JSON


def _chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", crc32(kind + data))


def red_pixel() -> str:
    """Return a PNG of one red pixel, base64."""
    header = pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    image = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", compress(b"\x00\xff\x00\x00"))
        + _chunk(b"IEND", b"")
    )
    return b64encode(image).decode()


def silence() -> str:
    """Return a WAV of eight silent samples at 8 kHz, base64."""
    data = b"\x80" * 8
    head = b"RIFF" + pack("<I", 36 + len(data)) + b"WAVE"
    fmt = b"fmt " + pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    return b64encode(head + fmt + b"data" + pack("<I", len(data)) + data).decode()


def text(value: str) -> JSON:
    """Return a text content block."""
    return {"type": "text", "text": value}


def result(*blocks: JSON, **fields: object) -> JSON:
    """Return a tool result of these content blocks."""
    return {"content": list(blocks), **fields}


IMAGE: JSON = {"type": "image", "data": red_pixel(), "mimeType": "image/png"}
AUDIO: JSON = {"type": "audio", "data": silence(), "mimeType": "audio/wav"}


def embedded(uri: str, value: str, *, mime: str = "text/plain") -> JSON:
    """Return an embedded text resource."""
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": value}}
