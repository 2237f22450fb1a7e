"""Turns the paths that a model writes into places below the served roots."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from servers.files.beneath import FOLDER, Parts
from servers.files.names import split_path
from servers.files.rooted import Place, Root, open_root
from servers.files.settings import Settings
from servers.tool import RefusalError

_MOST_PARTS = 256

KnownParts = dict[tuple[str, Parts], Root]
"""Parts of roots that are open, by root name and path."""


@dataclass(frozen=True)
class Roots:
    """The folders that one client may use."""

    roots: tuple[Root, ...]

    def place(self, path: str) -> Place:
        """Find the place that a path names: `a/b`, `NAME:a/b`, an absolute path or a `file://` URI.

        A relative path without `NAME:` is below the first root.

        Raises:
            RefusalError: The path lies outside every root, or holds a name that is never opened.
        """
        if path.startswith("file:"):
            path = _path_of_uri(path)
        if path.startswith(("/", "~")):
            return self._absolute(path)
        name, mark, rest = path.partition(":")
        if mark:
            for root in self.roots:
                if root.name == name:
                    return Place(root, split_path(rest))
        if not self.roots:
            raise RefusalError("No folder is served to this client.")
        return Place(self.roots[0], split_path(path))

    def _absolute(self, path: str) -> Place:
        expanded = os.path.expanduser(path)  # noqa: PTH111 - pathlib would drop `..` and `//`
        for root in sorted(self.roots, key=lambda r: -len(str(r.path))):
            for top in {str(root.path), os.path.realpath(root.path)}:
                if expanded == top or expanded.startswith(top.rstrip("/") + "/"):
                    return Place(root, split_path(expanded[len(top) :]))
        split_path(expanded)
        raise RefusalError(
            f"{path!r} is outside the folders served here.",
            f"These are served: {self.describe()}. Paths may be relative to them.",
        )

    def describe(self) -> str:
        """List the roots in one line."""
        return ", ".join(f"{r.path} ({r.name}, {r.access})" for r in self.roots) or "none"

    def narrowed(self, uris: Sequence[str], known: "KnownParts") -> "Roots":
        """Keep what lies below both these roots and the client's; each part becomes a root.

        Args:
            uris: The `file://` addresses that the client declared.
            known: Parts opened for earlier calls, which stay open: a call that was cancelled may
                still be at work on one.

        Raises:
            RefusalError: When clients declared more different folders than may stay open.
        """
        found = [r for uri in uris for root in self.roots for r in _intersect(root, uri, known)]
        unique = {(r.name, str(r.path)): r for r in found}
        return Roots(tuple(replace(r, shown_alone=len(unique) == 1) for r in unique.values()))


def open_roots(settings: Settings) -> Roots:
    """Open every configured folder.

    Raises:
        SettingsError: When one of them is not a folder that can be opened.
    """
    return Roots(tuple(open_root(root, settings) for root in settings.roots))


def _path_of_uri(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or parts.query:
        raise RefusalError(f"{uri!r} is not a file on this machine.", "Use file:///PATH.")
    return unquote(parts.path)


def _intersect(root: Root, uri: str, known: KnownParts) -> list[Root]:
    """The part of a root that lies below a client's root: all of it, a folder in it, or nothing."""
    try:
        wanted = PurePosixPath(os.path.normpath(_path_of_uri(uri)))
    except RefusalError:
        return []
    for top in {root.path, Path(os.path.realpath(root.path))}:
        if PurePosixPath(top).is_relative_to(wanted):
            return [root]
        if wanted.is_relative_to(top):
            return _open_part(root, wanted.relative_to(top).parts, known)
    return []


def _open_part(root: Root, parts: Parts, known: KnownParts) -> list[Root]:
    try:
        descriptor = root.opener(root.descriptor, parts, FOLDER)
    except OSError:
        return []
    key = (root.name, parts)
    old = known.get(key)
    if old is not None and os.path.sameopenfile(old.descriptor, descriptor):
        os.close(descriptor)
        return [old]
    if len(known) >= _MOST_PARTS:
        os.close(descriptor)
        raise RefusalError("Clients declared too many different roots.", "Restart the server.")
    known[key] = replace(
        root,
        name="-".join((root.name, *parts))[:64],
        path=root.path.joinpath(*parts),
        descriptor=descriptor,
        top=root.descriptor if root.top is None else root.top,
        prefix=(*root.prefix, *parts),
    )
    return [known[key]]
