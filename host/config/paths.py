"""The files of one user of the host, for everything but the bridge."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from host.config.runtime import config_folder, data_folder, runtime_folder, socket_path

CONFIG_NAMES = ("host.yaml", "host.yml", "host.json")
"""Names under which a folder may keep its configuration, first match wins."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Folders and files of one user.

    Attributes:
        config: Folder of the user's own host.yaml, `.env` and policies.
        data: Folder of the database, tokens, trust records, journal and logs.
        runtime: Folder of the socket.
    """

    config: Path
    data: Path
    runtime: Path

    @property
    def socket(self) -> Path:
        """Where the daemon of this data folder listens."""
        return socket_path({"HOST_RUNTIME_DIR": str(self.runtime)}, data=self.data)

    @property
    def tokens(self) -> Path:
        """Hashes of the clients' tokens."""
        return self.data / "tokens.json"

    @property
    def trust(self) -> Path:
        """Digests of the working folders' files that the user accepted."""
        return self.data / "trust.json"

    @property
    def logs(self) -> Path:
        """Folder of the daemon's log files."""
        return self.data / "logs"

    @property
    def user_config(self) -> Path:
        """The user's own configuration file; the first of `CONFIG_NAMES` if none is there."""
        return find_config(self.config) or self.config / CONFIG_NAMES[0]


def user_paths(environ: Mapping[str, str] = os.environ) -> Paths:
    """Return this user's paths; nothing is created."""
    return Paths(
        config=config_folder(environ), data=data_folder(environ), runtime=runtime_folder(environ)
    )


def find_config(folder: Path) -> Path | None:
    """Return the configuration file of a folder, None if it has none."""
    found = (folder / name for name in CONFIG_NAMES)
    return next((file for file in found if os.path.lexists(file)), None)


def private_folders(paths: Paths) -> tuple[Path, ...]:
    """Return the host's own folders, but none in which others have their files as well."""
    shared = [Path.home(), Path(tempfile.gettempdir())]
    own = [folder.absolute() for folder in (paths.config, paths.data, paths.runtime)]
    return tuple(
        folder for folder in own if not any(place.is_relative_to(folder) for place in shared)
    )
