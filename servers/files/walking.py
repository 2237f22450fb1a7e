"""Walks a tree by descriptors, in a fixed order that pages can continue, without ignored files."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from servers.files.beneath import FOLDER
from servers.files.gitignore import Level, Levels, is_ignored, parse_level
from servers.files.names import Parts, is_own
from servers.files.rooted import READ, Place, kind_of, opened_folder

_DEEPEST = 200
"""Folders below one another; each one open costs a descriptor."""
_IGNORE_BYTES = 1_000_000

Key = tuple[tuple[int, str], ...]
"""Sorts paths in the walk's order: a folder's files first, then its folders."""


@dataclass(frozen=True)
class Listing:
    """What is in one folder."""

    parts: Parts
    """The folder, from the root's top."""
    files: list[str]
    """Names of regular files, sorted."""
    folders: list[str]
    others: dict[str, str]
    """Links, FIFOs, sockets and devices, with their kind."""


def walk(
    place: Place,
    *,
    gitignore: bool,
    after: Key = (),
    enter: Callable[[Parts], bool] | None = None,
) -> Iterator[Listing]:
    """Go through a folder and all below it; links are never followed.

    Args:
        place: The folder to start in.
        gitignore: Leave out `.git` and what `.gitignore` files name, those above the start too.
        after: Continue behind this place in the walk's order; what comes before is left out.
        enter: Decides, when a folder's turn comes, whether it is opened; None: all are.

    Raises:
        RefusalError: When the start is no folder that can be opened.
    """
    limit = after
    with opened_folder(place) as top:
        levels = _levels_above(place) if gitignore else ()
        stack = [_enter(os.dup(top), place.parts, levels, limit, gitignore=gitignore)]
        try:
            yield stack[0].listing
            while stack:
                child = _next_child(stack[-1], limit, enter, gitignore=gitignore)
                if child is None:
                    os.close(stack.pop().descriptor)
                    continue
                stack.append(child)
                yield child.listing
        finally:
            for folder in stack:
                os.close(folder.descriptor)


def path_key(parts: Parts, *, is_folder: bool = False) -> Key:
    """The place of a file or folder in the walk's order; a folder comes before what is in it."""
    last = tuple((int(is_folder), name) for name in parts[-1:])
    return (*((1, name) for name in parts[:-1]), *last)


@dataclass(frozen=True)
class _Folder:
    descriptor: int
    listing: Listing
    levels: Levels
    pending: Iterator[str]


def _enter(
    descriptor: int, parts: Parts, levels: Levels, limit: Key, *, gitignore: bool
) -> _Folder:
    """Read one folder, which `descriptor` holds; the caller closes it."""
    files: list[str] = []
    folders: list[str] = []
    others: dict[str, str] = {}
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file(follow_symlinks=False):
                files.append(entry.name)
            else:
                others[entry.name] = kind_of(entry.stat(follow_symlinks=False))
    if gitignore and ".gitignore" in files:
        levels = (*levels, _read_level(descriptor, len(parts)))
    kept = [
        sorted(_keep(names, parts, levels, is_folder=names is folders, gitignore=gitignore))
        for names in (files, folders, list(others))
    ]
    if limit:
        prefix = tuple((1, name) for name in parts)
        kept[0] = [name for name in kept[0] if (*prefix, (0, name)) > limit]
        kept[1] = [n for n in kept[1] if (*prefix, (1, n)) >= limit[: len(parts) + 1]]
        kept[2] = [name for name in kept[2] if (*prefix, (0, name)) > limit]
    kinds = {name: others[name] for name in kept[2]}
    return _Folder(descriptor, Listing(parts, kept[0], kept[1], kinds), levels, iter(kept[1]))


def _keep(
    names: list[str], parts: Parts, levels: Levels, *, is_folder: bool, gitignore: bool
) -> list[str]:
    own_gone = [name for name in names if not (name[0] == "." and is_own(name))]
    if not gitignore:
        return own_gone
    return [n for n in own_gone if not is_ignored(levels, (*parts, n), is_folder=is_folder)]


def _next_child(
    folder: _Folder, limit: Key, enter: Callable[[Parts], bool] | None, *, gitignore: bool
) -> _Folder | None:
    """Open the next folder below; one that vanished, or became a link, is passed over."""
    for name in folder.pending:
        parts = (*folder.listing.parts, name)
        if len(parts) > _DEEPEST or (enter is not None and not enter(parts)):
            continue
        try:
            descriptor = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder.descriptor)
        except OSError:
            continue
        try:
            return _enter(descriptor, parts, folder.levels, limit, gitignore=gitignore)
        except OSError:
            os.close(descriptor)
    return None


def _levels_above(place: Place) -> Levels:
    """The rules of the folders above the start."""
    levels: Levels = ()
    for depth in range(len(place.parts)):
        with opened_folder(Place(place.root, place.parts[:depth])) as folder:
            level = _read_level(folder, depth)
        levels = (*levels, level) if level.rules else levels
    return levels


def _read_level(folder: int, depth: int) -> Level:
    """Read a folder's `.gitignore`; none, or none that can be read, has no rules."""
    try:
        descriptor = os.open(".gitignore", READ | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return parse_level("", depth)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return parse_level("", depth)
        text = os.read(descriptor, _IGNORE_BYTES).decode(errors="replace")
    finally:
        os.close(descriptor)
    return parse_level(text, depth)
