"""What servers listed the last time, so that a list need not wait until they have started."""

import hashlib
import logging
from pathlib import Path

import orjson

from host.config.files import write_private
from host.domain.errors import ConfigError
from host.domain.jsonrpc import Json, as_object
from host.gateway.upstream.listing import Listing

log = logging.getLogger(__name__)

LARGEST = 2_000_000
"""Bytes of one server's lists that are kept; a server with more is waited for."""


class RememberedLists:
    """The lists of one server as one user saw them, kept in a private file.

    Args:
        folder: Where the files are; None keeps nothing.
        server: The server's name.
        config: Digest of its configuration; under another one nothing is remembered.
    """

    def __init__(self, folder: Path | None, server: str, *, config: str) -> None:
        self._folder = folder
        self._server = server
        self._config = config
        self._users: dict[str, dict[str, Listing]] = {}

    def get(self, user: str, method: str) -> Listing | None:
        """Return what a user was listed the last time; None if that is not known."""
        return self._of(user).get(method)

    def keep(self, user: str, method: str, listing: Listing) -> None:
        """Remember a list as it is now; a file that cannot be written costs only the memory."""
        known = self._of(user)
        before = known.get(method)
        if before is not None and before.entries == listing.entries:
            return
        known[method] = Listing(listing.entries)
        if self._folder is None:
            return
        try:
            lists = {one: list(kept.entries.items()) for one, kept in known.items()}
            data = orjson.dumps({"config": self._config, "lists": lists})
            if len(data) <= LARGEST:
                write_private(self._file(user), data)
        except (TypeError, ValueError, RecursionError, ConfigError) as error:
            log.debug("the lists of %s could not be kept: %s", self._server, error)

    def _of(self, user: str) -> dict[str, Listing]:
        if user not in self._users:
            self._users[user] = self._read(user)
        return self._users[user]

    def _file(self, user: str) -> Path:
        assert self._folder is not None  # noqa: S101 - asked for only where there is one
        # A user's name is somebody else's text, and must not become a path.
        return self._folder / f"{self._server}.{hashlib.sha256(user.encode()).hexdigest()[:16]}"

    def _read(self, user: str) -> dict[str, Listing]:
        if self._folder is None:
            return {}
        try:
            content: Json | None = as_object(orjson.loads(self._file(user).read_bytes()))
            if content is None or content["config"] != self._config:
                return {}
            return {method: Listing(dict(kept)) for method, kept in content["lists"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.debug("no lists of %s are remembered: %s", self._server, error)
            return {}
