"""The tools that change files: write, edit, append, folders, copy, move, delete and restore."""

from typing import Annotated, Any, cast

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import BaseModel, ConfigDict, Field

from servers.files import results
from servers.files.editing import Edit
from servers.files.rooted import Place, Root
from servers.files.service import (
    DigestArgument,
    EncodingArgument,
    PathArgument,
    Service,
    register,
)
from servers.files.trash import Deleted, delete, find_deleted, list_deleted, restore
from servers.files.writing import (
    Change,
    append_text,
    copy,
    edit_text,
    make_folder,
    move,
    write_text,
)
from servers.tool import answer, declare


class EditArgument(BaseModel):
    """One exact replacement."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    old: str
    """Text that is there exactly once, as read_text shows it."""
    new: str
    """What stands there afterwards."""
    all: bool = False
    """Replace every place instead."""
    ignore_indent: bool = False
    """If old is not there exactly: match whole lines, white space at their ends ignored."""


def register_change_tools(server: FastMCP[Any], service: Service) -> None:
    """Add the changing tools to a server."""
    tools = ChangeTools(service)
    for tool, declaration in (
        (tools.write, declare("Write file", results.Written, changes="destroys")),
        (
            tools.edit,
            declare(
                "Edit file",
                results.Edited,
                "private",
                "untrusted",
                changes="destroys",
                idempotent=False,
            ),
        ),
        (
            tools.append,
            declare("Append to file", results.Written, changes="adds", idempotent=False),
        ),
        (tools.create_directory, declare("Make folder", results.FolderMade, changes="adds")),
        (tools.copy, declare("Copy", results.Copied, changes="adds", idempotent=False)),
        (tools.move, declare("Move", results.Moved, changes="destroys", idempotent=False)),
        (tools.delete, declare("Delete", results.Trashed, changes="destroys", idempotent=False)),
        (tools.restore, declare("Restore", results.Restored, changes="adds", idempotent=False)),
        (tools.list_trash, declare("List trash", results.TrashList, "private", "untrusted")),
    ):
        register(server, tool, declaration)


class ChangeTools:
    """The changing tools over one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def write(
        self,
        path: PathArgument,
        content: str,
        encoding: EncodingArgument = "auto",
        overwrite: Annotated[bool, Field(description="Replace a file that is there")] = True,
        if_digest: DigestArgument = None,
    ) -> ToolResult:
        """Make a text file or replace it whole, with the folders above it.

        Whatever happens meanwhile, the file holds its old content or the new one. A file that is
        replaced keeps its encoding and permissions.
        """
        place = self._service.place(path)
        change = write_text(
            place,
            content,
            self._service.settings,
            encoding=encoding,
            if_digest=if_digest,
            overwrite=overwrite,
        )
        return _written(place, change, "Made" if change.created else "Replaced")

    def append(
        self, path: PathArgument, content: str, if_digest: DigestArgument = None
    ) -> ToolResult:
        """Add text to a file's end, in the file's encoding; a missing file is made."""
        place = self._service.place(path)
        change = append_text(place, content, self._service.settings, if_digest=if_digest)
        return _written(place, change, "Appended to")

    def edit(
        self,
        path: PathArgument,
        edits: Annotated[list[EditArgument], Field(min_length=1)],
        dry_run: Annotated[bool, Field(description="Only show the difference")] = False,
        encoding: EncodingArgument = "auto",
        if_digest: DigestArgument = None,
    ) -> ToolResult:
        """Replace exact texts in a file, all edits or none, and show the difference.

        Each edit sees the result of the one before. Line ends are written as the file has them.
        """
        place = self._service.place(path)
        change = edit_text(
            place,
            [Edit(**edit.model_dump()) for edit in edits],
            self._service.settings,
            encoding=encoding,
            if_digest=if_digest,
            dry_run=dry_run,
        )
        edited = results.Edited(
            path=str(place),
            digest=change.digest,
            size=len(change.data),
            changed=bool(change.diff),
            dry_run=dry_run,
            diff=change.diff,
        )
        return answer(change.diff or "The edits change nothing.", edited)

    def create_directory(self, path: PathArgument) -> ToolResult:
        """Make a folder with those above it; one that is there already is fine."""
        place = self._service.place(path)
        made = results.FolderMade(path=str(place), made=make_folder(place))
        return answer(f"{made.path}: {made.made} folders made", made)

    def copy(self, source: PathArgument, target: PathArgument) -> ToolResult:
        """Copy a file, or a folder with all below it, to a path that is free.

        Links, devices, FIFOs and sockets in a folder are left out.
        """
        origin, place = self._service.place(source), self._service.place(target)
        copied = results.Copied(source=str(origin), target=str(place), files=copy(origin, place))
        return answer(f"{copied.source} → {copied.target}: {copied.files} files copied", copied)

    def move(self, source: PathArgument, target: PathArgument) -> ToolResult:
        """Rename or move a file, folder or link to a path that is free."""
        origin, place = self._service.place(source), self._service.place(target)
        move(origin, place)
        moved = results.Moved(source=str(origin), target=str(place))
        return answer(f"{moved.source} → {moved.target}", moved)

    def delete(self, path: PathArgument) -> ToolResult:
        """Move a file, a folder with all below it, or a link to the trash.

        The answer's id brings it back with restore, also after the server was restarted.
        """
        place = self._service.place(path)
        deleted = delete(place, self._service.settings)
        trashed = _trashed(place.root, deleted)
        return answer(
            f"{place} is in the trash; restore(id={deleted.id!r}) brings it back", trashed
        )

    def restore(
        self,
        id: Annotated[str, Field(description="From delete or list_trash")],  # noqa: A002 - its name for callers
        to: Annotated[str | None, Field(description="Another path; default: where it was")] = None,
    ) -> ToolResult:
        """Bring a deleted file or folder back, never over something that is there."""
        root, deleted = find_deleted(self._service.roots.roots, id)
        place = restore(root, deleted, self._service.place(to) if to else None)
        return answer(f"{place} is back", results.Restored(id=id, path=str(place)))

    def list_trash(self, limit: Annotated[int, Field(ge=1)] = 100) -> ToolResult:
        """List what was deleted, newest first."""
        found = [
            _trashed(root, deleted)
            for root in self._service.roots.roots
            for deleted in list_deleted(root)
        ]
        found.sort(key=lambda item: item.id, reverse=True)
        page = found[: self._service.limit(limit)]
        lines = [f"{item.id}  {item.kind}  {item.path}" for item in page]
        listing = results.TrashList(items=page, total=len(found))
        return answer("\n".join(lines) or "The trash is empty", listing)


def _written(place: Place, change: Change, verb: str) -> ToolResult:
    written = results.Written(
        path=str(place),
        uri=place.uri,
        digest=change.digest,
        size=len(change.data),
        created=change.created,
    )
    return answer(f"{verb} {written.path} ({written.size} bytes, {written.digest})", written)


def _trashed(root: Root, deleted: Deleted) -> results.Trashed:
    return results.Trashed(
        id=deleted.id,
        path=root.show(deleted.path[len(root.prefix) :]),
        kind=cast("results.Kind", deleted.kind),
        size=deleted.size,
        deleted_at=deleted.deleted_at,
    )
