"""Under which user, and in which folder, the embedded PostgreSQL runs; PostgreSQL refuses root."""

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from host.domain.errors import StoreError
from host.storage.binaries import can_reach

if sys.platform != "win32":
    import pwd

ACCOUNTS = ("mcp-agent-host", "postgres", "nobody")
"""Users that root drops to, best first; the first that exists is taken."""

SYSTEM_FOLDER = Path("/var/lib/mcp-agent-host")
"""Where root's clusters lie when the data folder cannot be reached by another user."""


class RunAs(TypedDict, total=False):
    """The arguments of `subprocess.run` that drop root's rights."""

    user: int
    group: int
    extra_groups: Sequence[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user that root drops to."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Place:
    """Who runs the server, and where its files are.

    Attributes:
        account: The user that root drops to; None is this process's own user.
        home: Folder of the cluster; it belongs to that user, with mode 0700.
        programs: Folder for copies of programs that the user could not reach otherwise.
        data_folder: Whose cluster it is.
    """

    account: Account | None
    home: Path
    programs: Path
    data_folder: Path

    @property
    def run_as(self) -> RunAs:
        """The arguments of `subprocess.run` for the server's user."""
        if self.account is None:
            return {}
        return {"user": self.account.uid, "group": self.account.gid, "extra_groups": ()}

    @property
    def uid(self) -> int | None:
        """The user id that root drops to."""
        return None if self.account is None else self.account.uid

    def give(self, path: Path) -> None:
        """Make a new file or folder of root's the server's own."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)


def choose_place(data_folder: Path, *, system_folder: Path = SYSTEM_FOLDER) -> Place:
    """Return where the cluster of a data folder is; makes no file.

    An ordinary user's cluster is in the data folder. Root's belongs to another user, so it is in
    the data folder only when that user can enter it; nobody's folders are opened up for it.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        programs = data_folder / "programs"
        return Place(None, data_folder / "cluster", programs, data_folder)
    account = _dropped_account()
    programs = system_folder / "programs"
    if can_reach(data_folder, uid=account.uid):
        return Place(account, data_folder / "cluster", programs, data_folder)
    digest = hashlib.sha256(os.fsencode(data_folder)).hexdigest()[:16]
    return Place(account, system_folder / digest, programs, data_folder)


def _dropped_account() -> Account:
    """Return the best of `ACCOUNTS` that exists."""
    if sys.platform != "win32":
        for name in ACCOUNTS:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise StoreError(
        f"PostgreSQL refuses to run as root, and none of the users {', '.join(ACCOUNTS)} exists.",
        next_step="Create one with `useradd --system mcp-agent-host`, run the host as an ordinary"
        " user, or set DATABASE_URL.",
    )
