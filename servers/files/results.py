"""What the files server's tools answer, as models whose schemas are the tools' output schemas."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["file", "folder", "link", "fifo", "socket", "device"]


class Result(BaseModel):
    """Base of the answers: field docstrings become schema descriptions."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class Text(Result):
    """Lines of a text file."""

    path: str
    text: str
    digest: str
    """Of the whole file; give it back as `if_digest` to change only what was read."""
    size: int
    """Bytes of the whole file."""
    encoding: str
    newline: Literal["\n", "\r\n"]
    """The file's line end."""
    first_line: int
    """Number of the first line in `text`; 0 when there is none."""
    last_line: int
    total_lines: int
    next_line: int | None
    """`first_line` of the next page; null when the range is complete."""


class Failure(Result):
    """One file that could not be read."""

    path: str
    error: str


class Texts(Result):
    """Several text files."""

    files: list[Text]
    failures: list[Failure]


class Media(Result):
    """A file's bytes, which stand in a content block beside this."""

    path: str
    uri: str
    mime_type: str
    size: int
    """Bytes of the whole file."""
    offset: int
    length: int
    """Bytes in this answer."""
    complete: bool


class Entry(Result):
    """One name in a folder."""

    name: str
    kind: Kind
    size: int | None
    """Bytes of a file; null for the rest."""
    modified: str
    """UTC, ISO 8601."""


class FolderListing(Result):
    """What is in a folder."""

    path: str
    entries: list[Entry]
    files: int
    """Files in the whole folder, not just on this page."""
    folders: int
    total_size: int
    """Bytes of all files directly in the folder."""
    next_cursor: str | None


class Node(Result):
    """A file or folder in a tree."""

    name: str
    kind: Kind
    children: list["Node"] | None = None
    """What is in a folder; null for files, and for folders that were not entered."""


class Tree(Result):
    """A folder and what is below it."""

    path: str
    children: list[Node]
    complete: bool
    """Whether nothing was left out by `depth` or the entry limit."""


class Info(Result):
    """What is known of a file or folder without reading it."""

    path: str
    uri: str
    kind: Kind
    size: int
    modified: str
    """UTC, ISO 8601, as the other times."""
    accessed: str
    created: str | None
    """Null where the file system does not tell."""
    permissions: str
    """Octal, such as 644."""
    hard_links: int
    mime_type: str | None
    link_target: str | None
    writable: bool
    """Whether the root lets tools change it."""
    digest: str | None
    """Of the content, when asked for."""


class RootInfo(Result):
    """One served folder."""

    name: str
    path: str
    uri: str
    access: Literal["ro", "rw"]


class RootList(Result):
    """The served folders; relative paths are below the first."""

    roots: list[RootInfo]


class Match(Result):
    """One matching line."""

    path: str
    line: int
    column: int
    text: str
    before: list[str]
    after: list[str]


class Matches(Result):
    """A page of matching lines."""

    matches: list[Match]
    searched: int
    """Files whose content was searched."""
    skipped: dict[str, int]
    """Files passed over, by reason: binary, large, hard_links, unreadable."""
    complete: bool
    """Whether everything was searched; else go on with `next_cursor`."""
    timed_out: bool
    next_cursor: str | None


class Named(Result):
    """One file or folder that was found."""

    path: str
    kind: Literal["file", "folder"]


class NamesFound(Result):
    """A page of names."""

    found: list[Named]
    next_cursor: str | None


class Written(Result):
    """A file after a write."""

    path: str
    uri: str
    digest: str
    size: int
    created: bool


class Edited(Result):
    """A file after edits, or what they would make of it."""

    path: str
    digest: str
    """Of the content after the edits."""
    size: int
    changed: bool
    dry_run: bool
    diff: str
    """Unified diff."""


class FolderMade(Result):
    """A folder that is there now."""

    path: str
    made: int
    """How many folders were missing and are made; 0 when it was there."""


class Copied(Result):
    """A copy."""

    source: str
    target: str
    files: int


class Moved(Result):
    """A new name."""

    source: str
    target: str


class Trashed(Result):
    """Something in the trash."""

    id: str
    """What `restore` takes."""
    path: str
    """Where it was."""
    kind: Kind
    size: int
    deleted_at: str


class TrashList(Result):
    """What is in the trash, newest first."""

    items: list[Trashed] = Field(default_factory=list[Trashed])
    total: int


class Restored(Result):
    """What came back from the trash."""

    id: str
    path: str
