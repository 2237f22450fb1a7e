"""The policies, examples and plugins that come with the host, in a checkout or a wheel."""

from pathlib import Path
from typing import Literal

import host
from host.domain.errors import ConfigError

Kind = Literal["policies", "configs", "plugins"]
"""What is shipped; each is a folder of that name in the source tree."""

BUNDLED = ("files", "search", "memory", "weather", "database")
"""Servers that the host may bring; each is the package `servers.NAME`."""


def shipped_folder(kind: Kind) -> Path:
    """Return the folder of what is shipped.

    A wheel carries it beside the code as `host/shipped/KIND`; a checkout, also one installed
    editable, has it at its top.

    Raises:
        ConfigError: It is not there, so the installation is incomplete.
    """
    package = Path(host.__file__).parent
    for folder in (package / "shipped" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    raise ConfigError(
        f"The folder {kind!r} that comes with the host is missing from {package}.",
        next_step="Install mcp-agent-host again.",
    )


def bundled_servers() -> list[str]:
    """Return the names of the bundled servers that this installation has and can start."""
    return [name for name in known_servers() if (_SERVERS / name / "__main__.py").is_file()]


def known_servers() -> list[str]:
    """Return the names that `bundled:` may have: the ones listed here, and any that are there."""
    present = sorted(place.parent.name for place in _SERVERS.glob("*/__main__.py"))
    return list(dict.fromkeys((*BUNDLED, *present)))


_SERVERS = Path(host.__file__).parent.parent / "servers"
