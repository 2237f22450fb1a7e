"""What the host serves where nobody configured anything: its own bundled servers, safely set."""

from pathlib import Path

from host.config.servers import ServerConfig
from host.config.shipped import bundled_servers

FILES_ROOT = "~/agent-files"
"""Folder that the files server is confined to by default."""

_SERVED = ("files", "search", "memory", "weather")


def default_servers() -> dict[str, ServerConfig]:
    """Return the bundled servers that need no setting of the user's.

    The files server sees one folder of its own, `~/agent-files`, and nothing else of the user's
    until they name it. Servers that have to be told something first, as the database server, are
    left for the user to add.
    """
    present = bundled_servers()
    return {name: _default_server(name) for name in _SERVED if name in present}


def _default_server(name: str) -> ServerConfig:
    if name == "files":
        return ServerConfig(bundled=name, settings={"roots": [FILES_ROOT]})
    return ServerConfig(bundled=name)


def make_default_folder(server: ServerConfig) -> None:
    """Create `~/agent-files` if this server is set to serve it; call it before starting one."""
    roots = server.settings.get("roots")
    if server.bundled == "files" and isinstance(roots, list) and FILES_ROOT in roots:
        Path(FILES_ROOT).expanduser().mkdir(mode=0o700, exist_ok=True)
