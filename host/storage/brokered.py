"""How a confined process gets at the embedded store: through the broker that it started."""

import json
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString, NoReturn

from typing_extensions import override

from host.domain.errors import StoreError
from host.storage.broker import MESSAGE, spawn_broker
from host.storage.connector import SEARCH_PATH, Connector
from host.storage.credentials import Role

_LOOK_EVERY = 0.1
"""Seconds after which a process that waits for its store looks whether it was told to end."""

_links: dict[Path, socket.socket] = {}


def start_broker(data_folder: Path) -> None:
    """Start what opens the store of a data folder for this process, which confines itself next."""
    _links[data_folder.absolute()] = spawn_broker(data_folder)


def broker_link(data_folder: Path) -> socket.socket | None:
    """Return the connection to a data folder's broker; None if this process started none."""
    return _links.get(data_folder.absolute())


class BrokeredConnector(Connector):
    """The embedded server of a data folder, with the rights of the role `app` and no others.

    Args:
        link: The connection to the broker.
        data_folder: The user's data folder.
    """

    def __init__(self, link: socket.socket, data_folder: Path) -> None:
        self.kind = "embedded"
        self._link = link
        self._data_folder = data_folder
        self._conninfo: dict[str, Any] = {}
        self._turn = threading.Lock()
        self._users_lock: int | None = None

    @property
    @override
    def where(self) -> str:
        return str(self._data_folder)

    @override
    def prepare(self, tell: Callable[[str], None], cancelled: threading.Event) -> None:
        with self._turn:
            try:
                self._link.send(b"open")
                while "conninfo" not in (answer := self._receive(cancelled)):
                    if "error" in answer:
                        raise StoreError(answer["error"], next_step=answer["next_step"])
                    tell(answer["tell"])
            except OSError as error:
                raise _gone() from error
            self._conninfo = answer["conninfo"]

    @override
    def conninfo(self, role: Role) -> dict[str, Any]:
        if role != "app":
            _refuse()
        return dict(self._conninfo)

    @override
    def greetings(self, role: Role) -> list[LiteralString]:
        return [SEARCH_PATH]

    @override
    def release(self) -> None:
        if self._users_lock is not None:
            os.close(self._users_lock)
            self._users_lock = None

    @override
    def privileged(self, database: str | None = None) -> dict[str, Any]:
        _refuse()

    @override
    def owner(self, database: str) -> dict[str, Any]:
        _refuse()

    @override
    def create_database(self, name: str) -> None:
        _refuse()

    def _receive(self, cancelled: threading.Event) -> dict[str, Any]:
        while not select.select([self._link], [], [], _LOOK_EVERY)[0]:
            if cancelled.is_set():
                raise StoreError("Opening the store was given up.", next_step="Try again.")
        data, descriptors, _, _ = socket.recv_fds(self._link, MESSAGE, 1)
        if not data:
            raise _gone()
        if descriptors:  # before the former one is given up, so that the store stays in use
            self.release()
            (self._users_lock,) = descriptors
        return json.loads(data)


def _gone() -> StoreError:
    return StoreError(
        "The process that opens the store for this confined one has ended.",
        next_step="Start this server anew.",
    )


def _refuse() -> NoReturn:
    raise StoreError(
        "This process is confined and has no rights beyond those of the role host_app.",
        next_step="Do it with the `host` command.",
    )
