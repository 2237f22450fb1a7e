"""Finds documents in folders and reads them: which files there are, and their passages."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from anyio import to_thread
from charset_normalizer import from_bytes

from host.memory.documents import Passage
from servers.files.reading import load
from servers.files.rooted import Place, Root
from servers.files.roots import open_roots
from servers.files.settings import RootSettings
from servers.files.settings import Settings as FilesSettings
from servers.files.text import decode
from servers.files.walking import walk
from servers.search.passages import split_text
from servers.search.reader import FileKind, Reader
from servers.tool import RefusalError

Kind = Literal["text"] | FileKind

KINDS: dict[str, Kind] = {
    **dict.fromkeys((".txt", ".text", ".md", ".markdown", ".mdx", ".rst", ".adoc", ".org"), "text"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    ".pdf": "pdf",
    ".docx": "docx",
}
"""What is indexed, by the end of a file's name."""


@dataclass(frozen=True)
class Found:
    """A file that may be indexed, as the file system describes it.

    Args:
        path: From its folder on, with slashes.
        modified: In nanoseconds.
    """

    path: str
    size: int
    modified: int


@dataclass(frozen=True)
class Content:
    """A file's passages, or why there are none."""

    digest: str
    title: str
    passages: list[Passage]
    problem: str = ""


@dataclass(frozen=True)
class Folder:
    """One folder of documents, held by its descriptor: links do not lead out of it."""

    root: Root
    limits: FilesSettings
    reader: Reader

    @property
    def key(self) -> str:
        """What it is called in the index."""
        return str(self.root.path)

    def find(self) -> Iterator[Found]:
        """Go through the documents in it; links, and what `.gitignore` names, are left out."""
        for listing in walk(Place(self.root, ()), gitignore=True):
            for name in listing.files:
                if os.path.splitext(name)[1].lower() not in KINDS:  # noqa: PTH122 - names, not paths
                    continue
                path = "/".join((*listing.parts, name))
                try:
                    path.encode()
                    status = self.root.path.joinpath(path).lstat()
                except (OSError, UnicodeEncodeError):
                    continue  # gone meanwhile, or a name that no database keeps
                yield Found(path, status.st_size, status.st_mtime_ns)

    async def read(self, path: str, known_digest: str = "") -> Content | None:
        """Read a file's passages; None if its content has the known digest.

        A file that cannot be read is a content with a problem: the next look passes it over.
        """
        place = Place(self.root, tuple(path.split("/")))
        try:
            loaded = await to_thread.run_sync(load, place, self.limits)
        except RefusalError as error:
            return Content("", "", [], error.message)
        if loaded.digest == known_digest:
            return None
        try:
            title, rows = await self._parse(path, loaded.data)
        except RefusalError as error:
            return Content(loaded.digest, "", [], error.message)
        passages = [Passage(r["text"], r["unit"], r["first"], r["last"]) for r in rows]
        return Content(loaded.digest, title, passages, "" if passages else "It has no text.")

    async def _parse(self, path: str, data: bytes) -> tuple[str, list[dict[str, Any]]]:
        kind = KINDS[Path(path).suffix.lower()]
        if kind == "text":
            return await to_thread.run_sync(_parse_text, data, path, self.reader.max_chars)
        parsed = await self.reader.passages(data, kind, path)
        return parsed.title or "", parsed.rows


def open_folders(paths: Sequence[Path], reader: Reader, *, max_bytes: int) -> list[Folder]:
    """Open the folders that are set.

    Raises:
        SettingsError: One of them cannot be opened.
    """
    if not paths:
        return []
    roots = [
        RootSettings(path=path, access="ro", name=f"folder-{n}") for n, path in enumerate(paths, 1)
    ]
    limits = FilesSettings(roots=tuple(roots), max_file_bytes=max_bytes)
    return [Folder(root, limits, reader) for root in open_roots(limits).roots]


def _parse_text(data: bytes, path: str, max_chars: int) -> tuple[str, list[dict[str, Any]]]:
    text = _decode(data, path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    title = first.lstrip("# ").strip() if first.startswith("#") else ""
    return title, split_text(text, max_chars)


def _decode(data: bytes, path: str) -> str:
    """Read a text whose encoding nobody tells: by its mark, as UTF-8, else by its letters."""
    try:
        return decode(data, "auto", path).text
    except RefusalError:
        best = None if b"\0" in data else from_bytes(data[:200_000]).best()
        if best is None:
            raise
        return data.decode(best.encoding, "replace")
