"""Pictures and sounds of an answer: saved where the user is, or told in JSON."""

import base64
import itertools
import mimetypes
from pathlib import Path

from host.cli.tools import printable
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import list_member, object_member

_ENDINGS = {"audio/wav": ".wav", "audio/mpeg": ".mp3", "image/jpeg": ".jpg", "image/webp": ".webp"}
"""What some systems' tables lack or name oddly."""


def answer_files(result: Json) -> list[Json]:
    """Return the files of a tool's result: `media_type`, and `data` in Base64."""
    blocks = [as_object(one) or {} for one in list_member(result, "content")]
    found: list[Json] = []
    for block in blocks:
        inner = object_member(block, "resource") if block.get("type") == "resource" else block
        data = inner.get("blob", inner.get("data"))
        if isinstance(data, str):
            found.append({"media_type": str(inner.get("mimeType", "")), "data": data})
    return found


def save_answer_files(result: Json, folder: Path) -> list[str]:
    """Write the files of a result, over no other file, and return a line about each."""
    run = str(object_member(result, "structuredContent").get("run", "")) or "answer"
    name = run if run.isalnum() else "answer"  # it becomes part of a path
    lines: list[str] = []
    for number, file in enumerate(answer_files(result), 1):
        kind, data = str(file["media_type"]), base64.b64decode(str(file["data"]))
        ending = _ENDINGS.get(kind) or mimetypes.guess_extension(kind) or ".bin"
        try:
            saved = _write(folder, f"{name}-{number}", ending, data=data)
        except OSError as error:
            lines.append(f"A file of the answer ({printable(kind)}) cannot be saved: {error}.")
            continue
        lines.append(f"saved {saved.name} ({printable(kind)}, {len(data):,} bytes)")
    return lines


def _write(folder: Path, stem: str, ending: str, *, data: bytes) -> Path:
    for again in itertools.count():
        path = folder / f"{stem}{f'-{again}' if again else ''}{ending}"
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        return path
    raise AssertionError  # the count has no end
