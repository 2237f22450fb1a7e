"""What the host serves where nobody configured anything: its own bundled servers, safely set."""

from pathlib import Path

from host.config.servers import ServerConfig
from host.config.shipped import bundled_servers

FILES_FOLDER = "agent-files"
"""Folder in the user's home that the files server is confined to by default."""

_NEEDS_SETTINGS = ("database",)


def default_servers(home: Path) -> dict[str, ServerConfig]:
    """Return the bundled servers that need no setting of the user's.

    The files server sees one folder of its own, `~/agent-files`, and nothing else of the user's
    until they name it; the database server is left out, because it needs to be told a database.

    Args:
        home: The user's home folder.
    """
    names = [name for name in bundled_servers() if name not in _NEEDS_SETTINGS]
    return {name: _default_server(name, home) for name in names}


def _default_server(name: str, home: Path) -> ServerConfig:
    if name == "files":
        return ServerConfig(bundled=name, settings={"roots": [str(home / FILES_FOLDER)]})
    return ServerConfig(bundled=name)


def make_default_folder(server: ServerConfig, home: Path) -> None:
    """Create `~/agent-files` if this server is the default files server; to call before its start.

    Args:
        server: A server that is about to be started.
        home: The user's home folder.
    """
    folder = str(home / FILES_FOLDER)
    if server.bundled == "files" and server.settings.get("roots") == [folder]:
        Path(folder).mkdir(mode=0o700, exist_ok=True)
