"""Paths in arguments, followed to the files that they name, and folders that they may be in."""

import os
import posixpath
import re
import stat
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from host.policy.answer import Answer, Lean, combine

FOLDED = sys.platform in ("win32", "darwin")
"""Whether file systems here usually ignore case."""

_LONGEST = 4_096
_MAGIC = re.compile(r"/(proc|dev/fd)(/|$)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a server's paths are.

    Attributes:
        local: Whether the server's files are this machine's, so that links can be followed.
        bases: Folders that a relative path may be relative to; empty if that is not known.
        home: What `~` means.
    """

    local: bool = True
    bases: tuple[Path, ...] = ()
    home: Path | None = None


@dataclass(frozen=True, slots=True)
class RealPath:
    """The files that a text may name.

    Attributes:
        places: Canonical absolute paths, one for each way in which the server may read the text.
        problem: Why that is not known; None if it is.
    """

    places: tuple[str, ...]
    problem: str | None = None

    def inside(self, folder: str, lean: Lean) -> Answer:
        """Return whether the file is a folder or below it.

        To loosen, each way of reading the text has to lead inside, to tighten, any.
        """
        if self.problem is not None:
            return Answer.UNKNOWN
        if len(self.places) == 1:
            return _inside(self.places[0], folder, lean)
        return combine((_inside(place, folder, lean) for place in self.places), lean)


def real_path(text: object, ground: Ground) -> RealPath:
    """Follow a path of an argument; symbolic links and `..` are resolved."""
    if not isinstance(text, str):
        return _unknown("it is not a text")
    problem = _suspicious(text)
    if problem is not None:
        return _unknown(problem)
    try:
        readings = _readings(text, ground)
        if not readings:
            return _unknown("nothing says which folder it is relative to")
        return RealPath(tuple(dict.fromkeys(_canonical(one, ground) for one in readings)))
    except (OSError, ValueError) as error:
        return _unknown(getattr(error, "strerror", None) or str(error))


def real_folder(text: str, ground: Ground, parents: dict[str, str]) -> str:
    """Return the canonical path of a folder that a rule names.

    Args:
        text: The folder.
        ground: Where the paths of the call's server are.
        parents: Folders that were followed for the same call, filled in here.

    Raises:
        OSError: Its links cannot be followed.
        ValueError: It is in a place where they do not lead where they say.
    """
    home = text == "~" or text.startswith("~/")
    expanded = f"{ground.home or Path.home()}{text[1:]}" if home else text
    above, _, name = expanded.rstrip("/").rpartition("/")
    if not ground.local or name in ("", ".", "..") or "\\" in expanded:
        return _canonical(expanded, ground)
    if above not in parents:
        parents[above] = _canonical(above or "/", ground).rstrip("/")
    place = f"{parents[above]}/{name}"
    try:
        linked = stat.S_ISLNK(os.lstat(place).st_mode)
    except OSError:
        linked = False
    return _canonical(place, ground) if linked or _MAGIC.match(place) else place


def is_absolute(text: str) -> bool:
    """Return whether a rule's folder is one that means the same everywhere."""
    return text.startswith(("/", "~/")) or text == "~" or _DRIVE.match(text) is not None


def _unknown(problem: str) -> RealPath:
    return RealPath((), problem)


def _suspicious(text: str) -> str | None:
    """Return why different programs would read a text differently; None if they would not."""
    if not text or len(text) > _LONGEST:
        return "it is empty or very long"
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text):
        return "it has invisible characters"
    if text != text.strip():
        return "it begins or ends with a space"
    if text.startswith("~") and text != "~" and not text.startswith("~/"):
        return "it is in another user's home"
    scheme = _SCHEME.match(text)
    drive = sys.platform == "win32" and _DRIVE.match(text)
    if scheme and not drive and not text.startswith("file:"):
        return "it begins like a URL, a drive or a named root"
    return None


def _readings(text: str, ground: Ground) -> list[str]:
    if text.startswith("file:"):
        text = _of_uri(text)
    if text == "~" or text.startswith("~/"):
        home = ground.home or Path.home()
        # A server that does not know `~` takes it for a name.
        return [f"{home}{text[1:]}", *(f"{base}/{text}" for base in ground.bases)]
    if text.startswith("/") or Path(text).is_absolute():
        return [text]
    return [os.path.join(base, text) for base in ground.bases]  # noqa: PTH118 - keeps `..`


def _of_uri(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise ValueError("it is a file: address with a host, a query or a fragment")
    path = unquote(parts.path, errors="strict")
    if not path.startswith("/") or "\0" in path:
        raise ValueError("it is a relative file: address")
    return path


def _canonical(path: str, ground: Ground) -> str:
    if not ground.local:
        return _lexical(path)
    if _MAGIC.match(os.path.normpath(path)):
        # What is below /proc depends on who looks, and links there need not lead where they say.
        raise ValueError("it is in /proc or /dev/fd")
    real = os.path.realpath(path)  # what is below a missing file, or a circle of links, is kept
    if _MAGIC.match(real):
        raise ValueError("it leads into /proc or /dev/fd")
    return real


def _lexical(path: str) -> str:
    """Return a path of another machine, whose links cannot be followed from here."""
    if "\\" in path or ".." in path.split("/"):
        raise ValueError("it has '..' or '\\' on a machine whose links are not known")
    return posixpath.normpath("/" + path.lstrip("/"))


def _inside(place: str, folder: str, lean: Lean) -> Answer:
    if _below(place, folder):
        return Answer.YES
    if lean is Lean.TIGHTEN and FOLDED and _below(_folded(place), _folded(folder)):
        return Answer.YES
    return Answer.NO


def _below(place: str, folder: str) -> bool:
    top = folder.rstrip("/\\")
    return place == folder or (place.startswith(top) and place[len(top) : len(top) + 1] in _ENDS)


_ENDS = {"/", os.sep}


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
