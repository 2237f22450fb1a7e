"""Which PostgreSQL the host uses: what host.yaml names, DATABASE_URL, or the embedded one."""

import os
from collections.abc import Mapping

from host.config.settings import Settings


def store_url(settings: Settings, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the address of a PostgreSQL server; None means the embedded one."""
    if settings.store.url is not None:
        return settings.store.url.get_secret_value()
    return environ.get("DATABASE_URL") or None
