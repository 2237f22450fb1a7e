"""Checks the names inside a path before any of them reaches the file system."""

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

from servers.files.beneath import Parts
from servers.tool import RefusalError

LONGEST_NAME = 255
"""Bytes of one name; the limit of ext4, APFS and NTFS."""
LONGEST_PATH = 4096
"""Bytes of a whole path below its root."""
OWN_PREFIX = ".host-t"
"""Start of the names that the server keeps for itself: `.host-trash`, `.host-tmp-…`."""
TRASH_NAME = ".host-trash"
TEMPORARY_PREFIX = ".host-tmp-"

_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"]
)


def split_path(path: str) -> Parts:
    """Split a path below a root into its names; `.` and doubled slashes vanish.

    Raises:
        RefusalError: A name climbs (`..`), holds NUL or a backslash, or is too long.
    """
    if len(path.encode(errors="surrogatepass")) > LONGEST_PATH:
        raise RefusalError(f"The path is longer than {LONGEST_PATH} bytes.", "Use a shorter path.")
    parts = tuple(name for name in path.split("/") if name not in {"", "."})
    for name in parts:
        check_name(name)
    return parts


def check_name(name: str) -> None:
    """Refuse a name that no file may be looked up by.

    Raises:
        RefusalError: The name and what is wrong with it.
    """
    if name == "..":
        raise RefusalError(
            "The path climbs with '..', which is never followed.",
            "Write the path from the root's top, as `list` and `find` print it.",
        )
    if "\0" in name:
        raise RefusalError(f"{name!r} holds a NUL character, which no file name can.")
    if "\\" in name:
        raise RefusalError(
            f"{name!r} holds a backslash.", "Separate folders with '/', on every system."
        )
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise RefusalError(f"{name!r} is not valid Unicode.") from error
    if size > LONGEST_NAME:
        raise RefusalError(
            f"The name {name[:40]!r}… is {size} bytes long.", f"Names end at {LONGEST_NAME} bytes."
        )
    if fold(name).startswith(OWN_PREFIX):
        raise RefusalError(
            f"{name!r} belongs to the server itself.",
            "Deleted files come back with `restore`; `list_trash` shows them.",
        )


def check_below(name: str) -> None:
    """Refuse what is not one name of a file below a root, wherever it was read.

    Raises:
        RefusalError: It is a path, or a name that no file may be looked up by.
    """
    if name in {"", "."} or "/" in name:
        raise RefusalError(f"{name!r} is not the name of a file.")
    check_name(name)


def check_new_name(name: str) -> None:
    """Refuse a name that another system would read as something else.

    A file `aux.txt` or `a:b` made here opens a device or a hidden stream once the folder is
    synchronised to Windows, and `x.` collides with `x` there.

    Raises:
        RefusalError: The name and what is wrong with it.
    """
    if name.split(".", maxsplit=1)[0].rstrip(" ").lower() in _DEVICES:
        raise RefusalError(f"{name!r} is a device name on Windows.", "Choose another name.")
    bad = sorted({c for c in name if c in '<>:"|?*' or ord(c) < 32 or ord(c) == 127})
    if bad:
        raise RefusalError(
            f"{name!r} holds {bad[0]!r}, which not every system allows in a name.",
            "Use letters, digits, spaces, dots, dashes and underscores.",
        )
    if name[-1] in ". ":
        raise RefusalError(
            f"{name!r} ends with a dot or space, which Windows drops.", "Leave the end off."
        )


def fold(name: str) -> str:
    """The form under which file systems that ignore case or Unicode form compare names."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def find_collision(name: str, existing: Iterable[str]) -> str | None:
    """The existing name that differs from `name` only by case or Unicode form."""
    folded = fold(name)
    return next((other for other in existing if other != name and fold(other) == folded), None)


def nearest(name: str, existing: Iterable[str]) -> list[str]:
    """Up to three existing names like this one, same letters in another case first."""
    known = list(existing)[:5000]
    same = find_collision(name, known)
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    return [same, *(c for c in close if c != same)][:3] if same else close


def is_own(name: str) -> bool:
    """Whether the server keeps this name for itself, so that listings leave it out."""
    return name.startswith(".") and fold(name).startswith(OWN_PREFIX)
