"""The settings of the files server, read by its launcher and handed to every part."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import override

from servers.launch import Reach, ServerSettings

Access = Literal["ro", "rw"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,63}")


class RootSettings(BaseModel):
    """One folder that the server opens; nothing above it is reachable."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    path: Path
    """The folder; `~` is the user's home."""
    access: Access = "rw"
    """`ro`: nothing below it is changed. `rw`: tools may change files."""
    name: str = ""
    """What paths call it (`NAME:folder/file`); default: the folder's own name."""


def _expand_root(value: object) -> object:
    """Read `FOLDER`, `ro:FOLDER` and `rw:FOLDER` as the command line writes them."""
    if not isinstance(value, str):
        return value
    access, mark, path = value.partition(":")
    if mark and access in {"ro", "rw"}:
        return {"path": path, "access": access}
    return {"path": value}


class Settings(ServerSettings):
    """Serve folders to MCP clients: read, search, write, edit, trash, watch."""

    roots: tuple[Annotated[RootSettings, BeforeValidator(_expand_root)], ...] = Field(min_length=1)
    """The folders served. On the command line: `FOLDER`, `ro:FOLDER` or `rw:FOLDER`."""
    gitignore: bool = True
    """Leave out what `.gitignore` names (and `.git`) when listing trees, finding and searching."""
    hard_links: Literal["refuse", "allow"] = "refuse"
    """Files with several names: one of them may lie outside every root, so they are refused."""
    case_collisions: Literal["refuse", "allow"] = "refuse"
    """New names that differ from an existing one only by case or Unicode form."""
    client_roots: Literal["ignore", "narrow"] = "ignore"
    """`narrow`: only what lies below both a root above and a root that the client declares."""
    trash: Path | None = None
    """Folder for deleted files, on the roots' file system; None: `.host-trash` in each root."""
    trash_days: int = Field(default=30, ge=0)
    """Days until a deleted file is removed for good; 0: never."""
    max_read_bytes: int = Field(default=1_000_000, ge=1)
    """Most bytes of text or media in one answer; a longer text is cut at a line, to be paged."""
    max_file_bytes: int = Field(default=64_000_000, ge=1)
    """Largest file that is read whole, written, edited or searched, in bytes."""
    max_entries: int = Field(default=1000, ge=1)
    """Most entries in one page of a listing, tree, find or search."""
    search_seconds: float = Field(default=20.0, gt=0)
    """Longest search before it answers with what it has, in seconds."""
    search_processes: int = Field(default=0, ge=0)
    """Processes that scan contents; 0: one a processor, at most 8."""
    symlink_resolver: Literal["auto", "kernel", "walk"] = "auto"
    """How paths are kept below a root: openat2, or a walk of O_NOFOLLOW opens; auto: the best."""

    @override
    def reach(self) -> Reach:
        """Its roots, and the trash where that is elsewhere."""
        trash = () if self.trash is None else (self.trash,)
        read = tuple(root.path for root in self.roots if root.access == "ro")
        write = tuple(root.path for root in self.roots if root.access == "rw")
        return Reach(read, (*write, *trash), made=trash)

    @model_validator(mode="after")
    def _check_names(self) -> "Settings":
        names = [root_name(root) for root in self.roots]
        wrong = [n for n in names if not _NAME.fullmatch(n)]
        if wrong:
            raise ValueError(
                f"root name {wrong[0]!r} must be two or more letters, digits, dots or dashes"
            )
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"two roots are named {twice[0]!r}; give one of them a name")
        return self


def root_name(root: RootSettings) -> str:
    """Name a root: its own name, else its folder's, made fit for paths."""
    if root.name:
        return root.name
    own = re.sub(r"[^A-Za-z0-9._-]+", "-", root.path.expanduser().absolute().name).strip("-._")
    return own if _NAME.fullmatch(own) else f"root-{own or 'folder'}"
