"""The passwords of the embedded server's roles, kept in a file that only its owner can read."""

import json
import os
import secrets
from pathlib import Path
from typing import Literal, get_args

from host.domain.errors import StoreError

Role = Literal["super", "owner", "app", "audit"]
"""`super` makes databases, `owner` has the tables, `app` works, `audit` inserts records."""

ROLES: tuple[Role, ...] = get_args(Role)


def role_name(role: Role) -> str:
    """Return the name of a role inside PostgreSQL."""
    return f"host_{role}"


def load_passwords(path: Path, *, create: bool) -> dict[Role, str]:
    """Return the password of each role.

    Args:
        path: The file.
        create: Whether a cluster is about to be made, so that new passwords may be.

    Raises:
        StoreError: The file is absent though a cluster exists, or is not what was written.
    """
    if create and not path.exists():
        _write(path, {role: secrets.token_urlsafe(24) for role in ROLES})
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {role: str(found[role]) for role in ROLES}
    except FileNotFoundError:
        problem = "is missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"is unreadable ({error})"
    raise StoreError(
        f"The file of the embedded PostgreSQL's passwords, {path}, {problem}.",
        next_step="Restore it from a copy, or move the whole data folder away and"
        " `host restore` a backup.",
    )


def _write(path: Path, passwords: dict[Role, str]) -> None:
    """Write the file so that it is whole, or absent, after a crash."""
    partial = path.with_suffix(".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(passwords, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
