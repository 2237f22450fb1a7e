"""A served folder held by its descriptor, and places below it; all files are opened here."""

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from servers.files.beneath import FOLDER, Opener, choose_opener
from servers.files.names import Parts, is_own, nearest
from servers.files.settings import Access, RootSettings, Settings, root_name
from servers.launch import SettingsError
from servers.tool import RefusalError

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
"""O_NONBLOCK: opening a FIFO returns at once; O_NOCTTY: a terminal does not become ours."""


@dataclass(frozen=True)
class Root:
    """One served folder; `descriptor` stays open, so that renaming the folder changes nothing."""

    name: str
    path: Path
    access: Access
    descriptor: int
    opener: Opener
    hard_links: bool
    """Whether files with several names are let in."""
    case_collisions: bool
    """Whether new names may differ from existing ones by case alone."""
    shown_alone: bool = True
    """Whether it is the only root, so that paths need no `NAME:`."""
    trash: int | None = None
    """Descriptor of the trash folder that the settings name; None: it lies in the root itself."""
    top: int | None = None
    """Descriptor of the configured root when this is a part of it; None: this is the whole."""
    prefix: Parts = ()
    """Where in the configured root this part lies."""

    def show(self, parts: Parts) -> str:
        """Write a place as tools accept it: `folder/file`; `NAME:folder/file` of several roots."""
        path = "/".join(parts)
        return path or "." if self.shown_alone else f"{self.name}:{path}"


@dataclass(frozen=True)
class Place:
    """A path below a root; nothing is known yet about what is there."""

    root: Root
    parts: Parts

    @override
    def __str__(self) -> str:
        return self.root.show(self.parts)

    @property
    def name(self) -> str:
        """The last name; the root's own for the root itself."""
        return self.parts[-1] if self.parts else self.root.name

    @property
    def parent(self) -> "Place":
        """The folder it is in."""
        return Place(self.root, self.parts[:-1])

    @property
    def uri(self) -> str:
        """Its `file://` address."""
        return self.root.path.joinpath(*self.parts).as_uri()

    def below(self, *names: str) -> "Place":
        """A place inside this folder."""
        return Place(self.root, (*self.parts, *names))


def open_root(root: RootSettings, settings: Settings) -> Root:
    """Open a folder to serve.

    Args:
        root: The folder.
        settings: The rules for all roots.

    Raises:
        SettingsError: When it is not a folder that can be opened.
    """
    if os.open not in os.supports_dir_fd:
        raise SettingsError(
            "this system cannot open files relative to a folder, so links could not be held off."
        )
    path = root.path.expanduser().absolute()
    try:
        descriptor = os.open(path, FOLDER)
    except OSError as error:
        raise SettingsError(f"root {str(root.path)!r}: {error.strerror}.") from error
    return Root(
        name=root_name(root),
        path=path,
        access=root.access,
        descriptor=descriptor,
        opener=choose_opener(settings.symlink_resolver),
        hard_links=settings.hard_links == "allow",
        case_collisions=settings.case_collisions == "allow",
        shown_alone=len(settings.roots) == 1,
    )


@contextmanager
def opened(place: Place, flags: int) -> Generator[int]:
    """Open a place below its root; links that stay below it are followed.

    Raises:
        RefusalError: Why it cannot be opened, with the nearest names.
    """
    try:
        descriptor = place.root.opener(place.root.descriptor, place.parts, flags)
    except OSError as error:
        raise explain(error, place) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_folder(place: Place) -> Generator[int]:
    """Open a folder for listing or as the place to work in."""
    with opened(place, FOLDER) as descriptor:
        yield descriptor


@contextmanager
def opened_file(place: Place) -> Generator[tuple[int, os.stat_result]]:
    """Open a regular file for reading; devices, FIFOs, sockets and folders are refused unopened.

    Raises:
        RefusalError: What it is instead, or why it cannot be opened.
    """
    status = status_of(place)
    if status is not None and not stat.S_ISLNK(status.st_mode):
        check_regular(place, status)
    with opened(place, READ) as descriptor:
        status = os.fstat(descriptor)
        check_regular(place, status)
        yield descriptor, status


def check_regular(place: Place, status: os.stat_result) -> None:
    """Refuse everything but a regular file with one name.

    Raises:
        RefusalError: What it is instead.
    """
    if stat.S_ISDIR(status.st_mode):
        raise RefusalError(f"{str(place)!r} is a folder.", "Use `list` or `tree` for folders.")
    if not stat.S_ISREG(status.st_mode):
        raise RefusalError(
            f"{str(place)!r} is a {kind_of(status)}, which is never opened.",
            "Only regular files are read and written.",
        )
    if status.st_nlink > 1 and not place.root.hard_links:
        # A second name may be outside every root: reading would leak it, and nothing tells.
        raise RefusalError(
            f"{str(place)!r} has {status.st_nlink} hard links, so it may be a file from elsewhere.",
            "The server's setting hard_links: allow lets such files in.",
        )


def status_of(place: Place) -> os.stat_result | None:
    """The status of what is at a place, a last link not followed; None when nothing is there.

    Raises:
        RefusalError: When its folder cannot be opened.
    """
    if not place.parts:
        return os.fstat(place.root.descriptor)
    with opened_folder(place.parent) as folder:
        try:
            return os.stat(place.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise explain(error, place) from error


def require(place: Place) -> os.stat_result:
    """The status of what is at a place, a last link not followed.

    Raises:
        RefusalError: When nothing is there, with the nearest names.
    """
    status = status_of(place)
    if status is None:
        raise explain(FileNotFoundError(errno.ENOENT, "no such file"), place)
    return status


def check_writable(place: Place) -> None:
    """Refuse to change what lies below a read-only root, or a root itself.

    Raises:
        RefusalError: Which root it is.
    """
    if place.root.access != "rw":
        raise RefusalError(
            f"{str(place)!r} is below the root {place.root.name!r}, which is read-only.",
            "`roots` lists the folders that may be changed.",
        )
    if not place.parts:
        raise RefusalError(
            f"{str(place)!r} is a root itself, which cannot be replaced, moved or deleted.",
            "Name a file or folder inside it.",
        )


def kind_of(status: os.stat_result) -> str:
    """Name a file's type: file, folder, link, fifo, socket or device."""
    kinds = {
        stat.S_IFREG: "file",
        stat.S_IFDIR: "folder",
        stat.S_IFLNK: "link",
        stat.S_IFIFO: "fifo",
        stat.S_IFSOCK: "socket",
    }
    return kinds.get(stat.S_IFMT(status.st_mode), "device")


def names_in(place: Place) -> list[str]:
    """The names in a folder, without the server's own; empty when it cannot be read."""
    with suppress(RefusalError, OSError), opened_folder(place) as folder:
        return sorted(n for n in os.listdir(folder) if not is_own(n))  # noqa: PTH208 - by descriptor
    return []


_REASONS = {
    errno.EXDEV: (
        "leaves its root through a symbolic link",
        "Absolute links, and links that climb out of the root, are not followed.",
    ),
    errno.ELOOP: ("is a symbolic link here, or a circle of them", "Use the path it points to."),
    errno.EACCES: ("may not be opened by the user this server runs as", ""),
    errno.EPERM: ("may not be changed by the user this server runs as", ""),
    errno.ENOSPC: ("could not be written: the disk is full", "Free some space first."),
    errno.EDQUOT: ("could not be written: the disk quota is used up", "Free some space first."),
    errno.EROFS: ("is on a file system mounted read-only", ""),
    errno.EISDIR: ("is a folder", "Use `list` or `tree` for folders."),
    errno.ENOTEMPTY: ("is a folder that is not empty", ""),
    errno.ENXIO: ("is a socket or device, which is never opened", ""),
    errno.EMFILE: ("cannot be opened: too many files are open", "Try again in a moment."),
}


def explain(error: OSError, place: Place) -> RefusalError:
    """Turn an error of the system into one that says what to try."""
    shown = repr(str(place))
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return _explain_missing(place, shown)
    reason, step = _REASONS.get(error.errno or 0, (f"failed: {error.strerror}", ""))
    return RefusalError(f"{shown} {reason}.", step)


def _explain_missing(place: Place, shown: str) -> RefusalError:
    """Name the first part of the path that is not there, and what is nearest to it."""
    folder = Place(place.root, ())
    for name in place.parts:
        status = status_of(folder.below(name))
        if status is None:
            near = nearest(name, names_in(folder))
            step = f"Did you mean {', '.join(map(repr, near))}?" if near else "`list` shows more."
            return RefusalError(f"There is no {name!r} in {str(folder)!r}.", step)
        folder = folder.below(name)
        if stat.S_ISREG(status.st_mode) and folder.parts != place.parts:
            return RefusalError(f"{str(folder)!r} is a file, so nothing is below it.")
        if stat.S_ISLNK(status.st_mode):
            return RefusalError(f"The symbolic link {str(folder)!r} leads nowhere.")
    return RefusalError(f"{shown} is not a folder.", "Use `read_text` for files.")
