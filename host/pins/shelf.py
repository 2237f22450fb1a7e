"""Keeps pins in private files, one for each server; the daemon is the only writer.

The files and not the database, since lists and calls must not wait for a store that still starts.
"""

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from host.config.files import write_private
from host.domain.errors import ConfigError
from host.pins.record import ServerPins

log = logging.getLogger(__name__)


class Shelf:
    """The files of one data folder.

    Args:
        folder: Where they are; None keeps everything in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._pins: dict[str, ServerPins] = {}
        self._unsaved: set[str] = set()

    def get(self, server: str) -> ServerPins:
        """Return a server's pins; damaged ones are put aside, and nothing is trusted then."""
        known = self._pins.get(server)
        if known is None:
            known = self._pins[server] = self._read(server)
        return known

    def put(self, pins: ServerPins) -> None:
        """Have a server's pins from now on; `save` brings them to disk."""
        self._pins[pins.server] = pins
        self._unsaved.add(pins.server)

    @property
    def unsaved(self) -> bool:
        """Whether there is something to bring to disk."""
        return bool(self._unsaved)

    def save(self) -> None:
        """Bring everything to disk; called from any thread.

        Raises:
            ConfigError: A file cannot be written.
        """
        if self._folder is None:
            self._unsaved.clear()
            return
        with self._mutex:
            while self._unsaved:
                server = self._unsaved.pop()
                # What is written is what holds now, whoever saves: a later state is never undone.
                try:
                    write_private(self._file(server), self._pins[server].model_dump_json())
                except BaseException:
                    self._unsaved.add(server)
                    raise

    def all(self, servers: Iterable[str]) -> list[ServerPins]:
        """Return the pins of some servers."""
        return [self.get(server) for server in servers]

    def _file(self, server: str) -> Path:
        return (self._folder or Path()) / f"{server}.json"

    def _read(self, server: str) -> ServerPins:
        if self._folder is None:
            return ServerPins(server=server)
        file = self._file(server)
        try:
            return ServerPins.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return ServerPins(server=server)
        except (OSError, ValidationError) as error:
            log.warning("the pins of %s are lost and have to be accepted again: %s", server, error)
            return self._begin_damaged(server, file)

    def _begin_damaged(self, server: str, file: Path) -> ServerPins:
        """Begin anew, trusting nothing; at once on disk, or a restart would trust first sight."""
        pins = ServerPins(server=server, damaged=True)
        try:
            file.replace(file.with_suffix(".damaged"))
            write_private(file, pins.model_dump_json())
        except (OSError, ConfigError) as error:
            log.warning("%s could not be put aside: %s", file, error)
        return pins
