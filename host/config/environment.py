"""What the host reads of its environment beside the configuration, and hands on to children."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from host.config.runtime import data_folder
from host.config.settings import StoreConfig
from host.domain.principal import LOCAL_USER

_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TERM", "TMPDIR", "TZ")
_KEPT_ON_WINDOWS = ("SYSTEMROOT", "APPDATA", "LOCALAPPDATA", "USERPROFILE", "TEMP", "PATHEXT")


def child_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what a tool server inherits; everything else it needs is in its `env`."""
    kept = _KEPT + (_KEPT_ON_WINDOWS if sys.platform == "win32" else ())
    return {name: environ[name] for name in kept if name in environ}


def database_url(store: StoreConfig, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the address of the shared database; None means the embedded server."""
    if store.url is not None:
        return store.url.get_secret_value()
    return environ.get("DATABASE_URL") or None


STORE_SERVERS = ("memory",)
"""Bundled servers that use the store; each runs once for every user, and sees that user's rows."""


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where a bundled server finds the store, and for whom it works.

    Attributes:
        url: The shared database's address; None means the embedded server.
        data: The user's data folder.
        user: Whose rows the server may see.
    """

    url: str | None
    data: Path
    user: str


def store_environment(place: StorePlace) -> dict[str, str]:
    """Return the variables that tell a bundled server where the store is."""
    found = {"HOST_DATA_DIR": str(place.data), "HOST_SERVER_USER": place.user}
    return found if place.url is None else {**found, "DATABASE_URL": place.url}


def child_place(environ: Mapping[str, str] = os.environ) -> StorePlace:
    """Return what `store_environment` told; started by hand, a server is the local user's."""
    return StorePlace(
        environ.get("DATABASE_URL") or None,
        data_folder(environ),
        environ.get("HOST_SERVER_USER") or LOCAL_USER,
    )
