"""Which working folders' files the user accepted, by the digest of what they say."""

import contextlib
import datetime as dt
import hashlib
import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from host.config.document import StrictModel
from host.config.files import lock_file, write_private
from host.config.paths import CONFIG_NAMES
from host.config.records import read_records
from host.config.yaml import MAX_BYTES
from host.domain.errors import ConfigError

PINNED = (*CONFIG_NAMES, ".env", "host.policy.yaml")
"""Files of a working folder that mean something to the host once they are trusted."""

TrustState = Literal["absent", "untrusted", "changed", "unsafe", "trusted"]
"""How a file stands: only a `trusted` one may be acted upon."""


class TrustedFolder(StrictModel):
    """A folder that the user trusts as it was."""

    folder: str
    """Its real path."""
    files: dict[str, str]
    """File name → SHA-256 of its content when it was trusted, in hexadecimal."""
    at: str
    """When, in UTC."""


@dataclass(frozen=True, slots=True)
class TrustedContent:
    """A file's standing, with its content where it is trusted.

    Attributes:
        state: How the file stands.
        content: The very bytes whose digest was checked, so that nothing can be swapped between
            check and use; None unless trusted.
        reason: Why it is not trusted, in a sentence; None if it is, or if it is absent.
    """

    state: TrustState
    content: bytes | None = None
    reason: str | None = None


_FOLDERS = TypeAdapter(list[TrustedFolder])


class TrustStore:
    """The user's record of trusted folders, a private file in the data folder.

    Args:
        file: The record, see `Paths.trust`.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def folders(self) -> list[TrustedFolder]:
        """Return the trusted folders, by path.

        Raises:
            ConfigError: The record is damaged; then nothing is trusted.
        """
        found = read_records(
            self.file,
            _FOLDERS,
            what="The record of trusted folders",
            next_step="Delete it and run `host trust` again where it is needed.",
        )
        return sorted(found, key=lambda one: one.folder)

    def pin(self, folder: Path) -> TrustedFolder:
        """Trust what a folder's files say now; what they say later has to be trusted again.

        Raises:
            ConfigError: There is nothing to trust, or others could change it.
        """
        real = folder.resolve()
        present = [name for name in PINNED if os.path.lexists(real / name)]
        if not present:
            raise ConfigError(
                f"There is nothing to trust in {real}.",
                next_step=f"The host looks for {', '.join(PINNED)}.",
            )
        _require(unsafe_reason(real))
        digests: dict[str, str] = {}
        for name in present:
            content, reason = _read(real / name)
            _require(reason)
            digests[name] = hashlib.sha256(content or b"").hexdigest()
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        entry = TrustedFolder(folder=str(real), files=digests, at=now)
        with lock_file(self.file):
            others = [one for one in self.folders() if one.folder != entry.folder]
            self._write([*others, entry])
        return entry

    def revoke(self, folder: Path) -> bool:
        """Trust a folder no longer; False if it was not trusted."""
        names = {str(folder.resolve()), str(folder)}
        with lock_file(self.file):
            known = self.folders()
            left = [one for one in known if one.folder not in names]
            self._write(left)
        return len(left) < len(known)

    def read(self, file: Path) -> TrustedContent:
        """Return a working folder's file if, and as, the user trusted it.

        Args:
            file: One of `PINNED` in some folder.

        Raises:
            ConfigError: The record itself is unreadable.
        """
        real = file.parent.resolve()
        if not os.path.lexists(real / file.name):
            return TrustedContent("absent")
        pinned = next((one for one in self.folders() if one.folder == str(real)), None)
        digest = pinned.files.get(file.name) if pinned else None
        if digest is None:
            return TrustedContent("untrusted", reason=f"{file} is not trusted.")
        content, reason = _read(real / file.name)
        reason = reason or unsafe_reason(real)
        if content is None or reason:
            return TrustedContent("unsafe", reason=reason)
        if hashlib.sha256(content).hexdigest() != digest:
            return TrustedContent("changed", reason=f"{file} changed since you trusted it.")
        return TrustedContent("trusted", content=content)

    def _write(self, folders: list[TrustedFolder]) -> None:
        entries = [one.model_dump() for one in folders]
        write_private(self.file, json.dumps(entries, indent=1) + "\n")


def _require(reason: str | None) -> None:
    if reason:
        raise ConfigError(reason, next_step="It is not trusted.")


def _read(file: Path) -> tuple[bytes | None, str | None]:
    # A link is refused, since whoever owns its target chooses the content; O_NONBLOCK because a
    # pipe in place of the file would hang the host.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if file.is_symlink():
        return None, f"{file} is a symbolic link; put a real file there."
    try:
        handle = os.open(file, flags)
    except OSError as error:
        return None, f"{file} cannot be read: {error.strerror}."
    with contextlib.closing(os.fdopen(handle, "rb")) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return None, f"{file} is not a regular file."
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        return None, f"{file} is larger than {MAX_BYTES} bytes."
    return content, None


def unsafe_reason(folder: Path) -> str | None:
    """Return why somebody else could replace things in a folder, None if nobody can.

    The digest protects the trusted file itself; but a server that it starts by a relative path is
    only as safe as the folder, and the folder only as its parents.
    """
    if sys.platform == "win32":
        return None
    for place in (folder, *folder.parents):
        status = place.stat()
        if status.st_uid not in (os.geteuid(), 0):
            return f"{place} belongs to user {status.st_uid}, who could change what is inside."
        sticky = place != folder and status.st_mode & stat.S_ISVTX
        if _others_write(status) and not sticky:
            return f"{place} can be written by others; run `chmod go-w {place}` first."
    return None


def _others_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _own_group(status.st_gid)


if sys.platform == "win32":

    def _own_group(group: int) -> bool:
        return group == 0
else:
    import grp
    import pwd

    def _own_group(group: int) -> bool:
        """Tell whether a group has nobody but this user in it, as many systems give each user."""
        try:
            name = pwd.getpwuid(os.geteuid()).pw_name
            members = grp.getgrgid(group)
        except KeyError:
            return False
        return members.gr_name == name and set(members.gr_mem) <= {name}
