"""Where a server's definitions come from: its command or address, as far as it may be shown."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from host import __version__
from host.config.expand import is_secret_name
from host.config.layers import AGENT_LABEL, PROJECT_LABEL
from host.config.servers import ServerConfig

_ROOT = Path(__file__).parents[2] / "servers"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where definitions come from.

    Attributes:
        digest: Of the whole of it, but for secret variables.
        text: For people; values of arguments that look secret are left to the redactor.
        bundled: Whether they are the host's own, which go by its version.
    """

    digest: str
    text: str
    bundled: bool = False


def origin_of(config: ServerConfig) -> Origin:
    """Return where a server's definitions come from."""
    if config.bundled is not None:
        settings = json.dumps(config.settings, sort_keys=True, default=str)
        text = f"bundled with the host: {config.bundled}"
        parts = [text, __version__, _code_digest(config.bundled), settings]
        return Origin(_digest(parts), f"{text}, version {__version__}", bundled=True)
    if config.url is not None:
        address = urlsplit(str(config.url))
        host = address.netloc.rpartition("@")[2]
        shown = urlunsplit((address.scheme, host, address.path, "", ""))
        return Origin(_digest([config.kind, str(config.url)]), shown)
    variables = {
        name: None if is_secret_name(name) else value for name, value in config.plain_env().items()
    }
    parts = ["stdio", config.command, config.args, config.cwd, sorted(variables.items())]
    named = "".join(f" {name}=" for name in sorted(variables))
    text = " ".join([str(config.command), *config.args])
    return Origin(_digest(parts), f"{text}{' with' if named else ''}{named}")


def owner_of(name: str, config: ServerConfig) -> str:
    """Return the name under which a server's pins are kept.

    The servers of two projects, or of two agents' files, may bear one name and be different
    programs, so these go by their source as well.
    """
    if not {PROJECT_LABEL, AGENT_LABEL} & set(config.labels):
        return name
    return f"{name}.{origin_of(config).digest[:8]}"


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


@cache
def _code_digest(bundled: str) -> str:
    """Return a digest of a bundled server's code: an upgrade may come without a new version."""
    found = hashlib.sha256()
    for file in sorted([*_ROOT.glob("*.py"), *_ROOT.glob(f"{bundled}/**/*.py")]):
        found.update(file.relative_to(_ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()
