"""The tools that read: text, several files, bytes, listings, trees, status, roots."""

import base64
import mimetypes
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
)
from pydantic import Field

from servers.files import results
from servers.files.born import born_at
from servers.files.names import is_own
from servers.files.paging import Cursor, parse_cursor
from servers.files.reading import load, load_part, load_text, slice_lines
from servers.files.rooted import Place, explain, kind_of, opened_folder, require
from servers.files.service import (
    CursorArgument,
    EncodingArgument,
    ExcludeArgument,
    IgnoredArgument,
    PathArgument,
    Service,
    register,
)
from servers.files.trees import build_tree, render_tree
from servers.tool import RefusalError, answer, declare

_MOST_FILES = 100
LineArgument = Annotated[int, Field(description="Counted from 1; negative from the end")]


def register_read_tools(server: FastMCP[Any], service: Service) -> None:
    """Add the reading tools to a server."""
    tools = ReadTools(service)
    private = ("private", "untrusted")
    register(server, tools.read_text, declare("Read text", results.Text, *private))
    register(server, tools.read_many, declare("Read several texts", results.Texts, *private))
    register(server, tools.read_media, declare("Read bytes", results.Media, *private))
    register(server, tools.list_, declare("List folder", results.FolderListing, *private))
    register(server, tools.tree, declare("Show tree", results.Tree, *private))
    register(server, tools.info, declare("Show status", results.Info, *private))
    register(server, tools.roots, declare("List roots", results.RootList, "private"))


class ReadTools:
    """The reading tools over one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def read_text(
        self,
        path: PathArgument,
        *,
        first_line: LineArgument = 1,
        last_line: LineArgument = -1,
        encoding: EncodingArgument = "auto",
    ) -> ToolResult:
        """Read a text file, whole or by lines.

        first_line=-20 gives the last 20 lines, last_line=20 the first 20. A long text is cut at
        a line; next_line says where to go on. The digest lets a later change insist on this
        content.
        """
        text = self._read(self._service.place(path), first_line, last_line, encoding)
        note: list[ContentBlock] = []
        if text.next_line is not None:
            note.append(
                TextContent(
                    type="text",
                    text=f"[lines {text.first_line}-{text.last_line} of {text.total_lines}; "
                    f"go on with first_line={text.next_line}]",
                )
            )
        return answer(text.text, text, *note)

    def _read(self, place: Place, first: int, last: int, encoding: str) -> results.Text:
        settings = self._service.settings
        decoded, loaded = load_text(place, encoding, settings)
        part = slice_lines(decoded.text, first, last, settings.max_read_bytes)
        return results.Text(
            path=str(place),
            text=part.text,
            digest=loaded.digest,
            size=len(loaded.data),
            encoding=decoded.encoding,
            newline="\r\n" if decoded.newline == "\r\n" else "\n",
            first_line=part.first,
            last_line=part.last,
            total_lines=part.total,
            next_line=part.last + 1 if part.cut and part.last < part.total else None,
        )

    def read_many(
        self,
        paths: Annotated[list[PathArgument], Field(min_length=1, max_length=_MOST_FILES)],
        encoding: EncodingArgument = "auto",
    ) -> ToolResult:
        """Read several text files at once; one that fails does not stop the others.

        All together are at most as long as one read_text may be; what does not fit is named among
        the failures.
        """
        files: list[results.Text] = []
        failures: list[results.Failure] = []
        left = self._service.settings.max_read_bytes
        for path in paths:
            try:
                text = self._read(self._service.place(path), 1, -1, encoding)
            except RefusalError as error:
                failures.append(results.Failure(path=path, error=str(error)))
                continue
            size = len(text.text.encode(errors="surrogatepass"))
            if size > left:
                crowded = "It does not fit beside the others. Read it alone."
                failures.append(results.Failure(path=path, error=crowded))
                continue
            left -= size
            files.append(text)
        shown = [f"{text.path}:\n{text.text}\n" for text in files]
        shown += [f"{failure.path}: Error - {failure.error}" for failure in failures]
        return answer("\n---\n".join(shown), results.Texts(files=files, failures=failures))

    def read_media(
        self,
        path: PathArgument,
        offset: Annotated[int, Field(ge=0, description="First byte")] = 0,
        length: Annotated[int | None, Field(ge=1, description="Bytes; default: all")] = None,
    ) -> ToolResult:
        """Read a file's bytes: images and audio as such, anything else as a blob.

        Works for every regular file; with offset and length also for a part of a very large one.
        """
        place = self._service.place(path)
        data, status = load_part(place, self._service.settings, offset=offset, length=length)
        media = results.Media(
            path=str(place),
            uri=place.uri,
            mime_type=mime_type(place.name) or "application/octet-stream",
            size=status.st_size,
            offset=offset,
            length=len(data),
            complete=len(data) == status.st_size,
        )
        note = (
            f"{media.path}: {media.mime_type}, bytes {offset}-{offset + len(data)} of {media.size}"
        )
        return answer(note, media, _block(media, data))

    def list_(
        self,
        path: PathArgument = "",
        *,
        sort: Literal["name", "size", "modified"] = "name",
        limit: Annotated[int, Field(ge=1)] = 1000,
        cursor: CursorArgument = None,
    ) -> ToolResult:
        """List what is directly in a folder, with kinds, sizes and times.

        Folders and files that .gitignore names are listed too; size and modified sort the largest
        and the newest first.
        """
        place = self._service.place(path)
        entries = _entries(place)
        entries.sort(key=_ORDER[sort], reverse=sort == "modified")
        after = parse_cursor(cursor)
        start = after.line if after else 0
        page = entries[start : start + self._service.limit(limit)]
        end = start + len(page)
        listing = results.FolderListing(
            path=str(place),
            entries=page,
            files=sum(e.kind == "file" for e in entries),
            folders=sum(e.kind == "folder" for e in entries),
            total_size=sum(e.size or 0 for e in entries),
            next_cursor=Cursor(place.parts, line=end).render() if end < len(entries) else None,
        )
        return answer(_render_listing(listing), listing)

    def tree(
        self,
        path: PathArgument = "",
        depth: Annotated[int, Field(ge=1, description="Levels shown")] = 20,
        exclude: ExcludeArgument = None,
        include_ignored: IgnoredArgument = False,
    ) -> ToolResult:
        """Show a folder and everything below it as a tree.

        What .gitignore names is left out. A tree of more entries than one answer may have says so:
        then start deeper, or use find.
        """
        settings = self._service.settings
        place = self._service.place(path)
        gitignore = settings.gitignore and not include_ignored
        children, complete = build_tree(
            place,
            gitignore=gitignore,
            exclude=tuple(exclude or ()),
            depth=depth,
            limit=settings.max_entries,
        )
        tree = results.Tree(path=str(place), children=children, complete=complete)
        note = "" if complete else "\n[more is left out: start deeper, or use find]"
        return answer(render_tree(children) + note, tree)

    def info(
        self,
        path: PathArgument,
        digest: Annotated[bool, Field(description="Also digest the content")] = False,
    ) -> ToolResult:
        """Show what is known of a file, folder or link without reading it."""
        place = self._service.place(path)
        status = require(place)
        kind = kind_of(status)
        born = born_at(place, status)
        info = results.Info(
            path=str(place),
            uri=place.uri,
            kind=_kind(kind),
            size=status.st_size,
            modified=_time(status.st_mtime),
            accessed=_time(status.st_atime),
            created=_time(born) if born is not None else None,
            permissions=f"{stat.S_IMODE(status.st_mode):03o}",
            hard_links=status.st_nlink,
            mime_type=mime_type(place.name) if kind == "file" else None,
            link_target=_link_target(place) if kind == "link" else None,
            writable=place.root.access == "rw",
            digest=load(place, self._service.settings).digest if digest else None,
        )
        return answer("\n".join(f"{k}: {v}" for k, v in info.model_dump().items()), info)

    def roots(self) -> ToolResult:
        """List the folders that are served, and whether they may be changed."""
        roots = [
            results.RootInfo(name=r.name, path=str(r.path), uri=r.path.as_uri(), access=r.access)
            for r in self._service.roots.roots
        ]
        lines = [f"{r.path} ({r.name}, {r.access})" for r in roots]
        return answer("\n".join(lines), results.RootList(roots=roots))


_ORDER: dict[str, Callable[[results.Entry], tuple[int, str]]] = {
    "name": lambda entry: (0, entry.name),
    "size": lambda entry: (-(entry.size or 0), entry.name),
    "modified": lambda entry: (0, entry.modified),
}


def mime_type(name: str) -> str | None:
    """Guess a file's type by its name."""
    return mimetypes.guess_type(name, strict=False)[0]


def _block(media: results.Media, data: bytes) -> ContentBlock:
    encoded = base64.b64encode(data).decode()
    if media.complete and media.mime_type.startswith("image/"):
        return ImageContent(type="image", data=encoded, mime_type=media.mime_type)
    if media.complete and media.mime_type.startswith("audio/"):
        return AudioContent(type="audio", data=encoded, mime_type=media.mime_type)
    blob = BlobResourceContents(uri=media.uri, mime_type=media.mime_type, blob=encoded)
    return EmbeddedResource(type="resource", resource=blob)


def _entries(place: Place) -> list[results.Entry]:
    found: list[results.Entry] = []
    with opened_folder(place) as folder, os.scandir(folder) as entries:
        for entry in entries:
            if is_own(entry.name):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            kind = kind_of(status)
            found.append(
                results.Entry(
                    name=entry.name,
                    kind=_kind(kind),
                    size=status.st_size if kind == "file" else None,
                    modified=_time(status.st_mtime),
                )
            )
    return found


def _render_listing(listing: results.FolderListing) -> str:
    marks = {"folder": "[DIR]", "file": "[FILE]"}
    lines = [
        f"{marks.get(e.kind, f'[{e.kind.upper()}]')} {e.name}"
        + (f"  {e.size}" if e.size is not None else "")
        for e in listing.entries
    ]
    lines.append(
        f"{listing.files} files, {listing.folders} folders, {listing.total_size} bytes"
        + ("; more with next_cursor" if listing.next_cursor else "")
    )
    return "\n".join(lines)


def _kind(kind: str) -> results.Kind:
    return cast("results.Kind", kind)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _link_target(place: Place) -> str:
    with opened_folder(place.parent) as folder:
        try:
            return os.readlink(place.name, dir_fd=folder)
        except OSError as error:
            raise explain(error, place) from error
