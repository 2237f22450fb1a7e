"""What the host reads of its environment beside the configuration, and hands on to children."""

import os
import sys
from collections.abc import Mapping

from host.config.settings import StoreConfig

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
