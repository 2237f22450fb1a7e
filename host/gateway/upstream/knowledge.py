"""What the host remembers of its servers, so that `initialize` can tell of them before they run."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from host.config.document import StrictModel
from host.config.files import write_private
from host.config.servers import ServerConfig
from host.domain.errors import ConfigError
from host.domain.jsonrpc import Json

log = logging.getLogger(__name__)


class KnownServer(StrictModel):
    """One server, as it was when it was last connected."""

    config: str
    """Digest of the configuration that this was learnt under; another one makes it worthless."""
    capabilities: Json = Field(default_factory=dict[str, Any])
    """What it declared."""
    instructions: str | None = None
    """What it tells models about itself; None if nothing."""
    talks_back: bool = False
    """Whether it was ever seen to ask something of a client."""


_KNOWN = TypeAdapter(dict[str, KnownServer])


class Knowledge:
    """The servers known so far, kept in a private file.

    Args:
        file: Where; None keeps everything in memory.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known: dict[str, KnownServer] = {}
        if file is not None:
            try:
                self._known = _KNOWN.validate_json(file.read_bytes())
            except (OSError, ValidationError) as error:
                log.debug("nothing is known of the servers: %s", error)

    def of(self, name: str, config: ServerConfig) -> KnownServer:
        """Return what is known of a server, or nothing if its configuration has changed."""
        digest = digest_config(config)
        known = self._known.get(name)
        return known if known is not None and known.config == digest else KnownServer(config=digest)

    def note(self, name: str, known: KnownServer) -> None:
        """Remember a server as it is now."""
        if self._known.get(name) == known:
            return
        self._known[name] = known
        if self._file is not None:
            try:
                write_private(self._file, _KNOWN.dump_json(self._known))
            except (OSError, ConfigError) as error:
                log.warning("what is known of the servers could not be kept: %s", error)


def digest_config(config: ServerConfig) -> str:
    """Return a digest of where a server comes from, without the secrets it is given."""
    origin = [config.command, config.args, config.cwd, str(config.url), config.bundled]
    return hashlib.sha256(json.dumps(origin).encode()).hexdigest()[:32]
