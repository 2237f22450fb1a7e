"""What is tested: a project's folder, a file, a command or an address, and how to connect to it."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from host.domain.errors import ConfigError

if TYPE_CHECKING:
    from fastmcp import Client

Era = Literal["handshake", "stateless"]
ERAS: tuple[Era, ...] = ("handshake", "stateless")


@dataclass(frozen=True)
class Target:
    """A server that can be connected to as often as needed."""

    said: str
    """What the user called it."""
    url: str = ""
    command: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    folder: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """What is sent with every request to an address."""

    def client(self, era: Era, *, timeout: float, log: Path) -> "Client[Any]":
        """Return a client that speaks one era only.

        Args:
            era: `handshake` is up to 2025-11-25, `stateless` 2026-07-28.
            timeout: Longest wait for the connection, in seconds.
            log: Where a program's standard error goes.
        """
        from fastmcp import Client  # noqa: PLC0415 - heavy
        from fastmcp.client.transports import (  # noqa: PLC0415
            StdioTransport,
            StreamableHttpTransport,
        )

        transport = (
            StreamableHttpTransport(self.url, headers=dict(self.headers))
            if self.url
            else StdioTransport(
                self.command[0],
                list(self.command[1:]),
                env=dict(self.environ),
                cwd=self.folder,
                keep_alive=False,
                log_file=log,
            )
        )
        mode = "legacy" if era == "handshake" else "auto"
        return Client(transport, mode=mode, init_timeout=timeout)


def find_target(words: Sequence[str], *, headers: Sequence[str] = ()) -> Target:
    """Return what the words of the command line name.

    Args:
        words: An address, a folder or file, or a command with its arguments.
        headers: `Name: value` for an address; a value may name variables of the environment.

    Raises:
        ConfigError: It is none of them, or a header cannot be sent.
    """
    said = " ".join(words)
    if len(words) == 1 and urlsplit(words[0]).scheme in ("http", "https"):
        return Target(said, url=words[0], headers=tuple(_header(text) for text in headers))
    if headers:
        raise ConfigError(
            f"{said} is no address, and headers are for HTTP.", next_step="Leave --header out."
        )
    place = Path(words[0]).expanduser()
    if len(words) == 1 and place.is_dir():
        return _project(place.resolve(), said)
    if len(words) == 1 and place.suffix == ".py" and place.is_file():
        return Target(said, command=(sys.executable, str(place.resolve())), environ=_environ())
    if len(words) == 1 and not place.exists() and (os.sep in words[0] or place.suffix):
        raise ConfigError(f"There is no {words[0]!r}.", next_step="Name a folder, file or address.")
    return Target(said, command=tuple(words), environ=_environ())


def _header(text: str) -> tuple[str, str]:
    """Return a header's name and value, its variables put in; the value is in no message."""
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ConfigError(
            "--header takes 'Name: value'.",
            next_step="For example: --header 'Authorization: Bearer ${TOKEN}'.",
        )

    def fill(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigError(
                f"--header {name} names the variable {match[1]}, which is not set.",
                next_step=f"Set {match[1]}.",
            )
        return os.environ[match[1]]

    return name, re.sub(r"\$\{(\w+)\}", fill, value).strip()


def _project(folder: Path, said: str) -> Target:
    """Find the package of a project that starts with `python -m PACKAGE`."""
    packages = [p.parent for p in sorted(folder.glob("src/*/__main__.py"))]
    packages += [p.parent for p in sorted(folder.glob("*/__main__.py"))]
    if not packages:
        raise ConfigError(
            f"{folder} has no package with a __main__.py in it.",
            next_step=f"Give the command: `host test-server -- COMMAND` (in {folder.name}).",
        )
    own = folder / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    python = str(own) if own.exists() else sys.executable
    # A server made by `host new-server` may serve HTTP unasked; over stdio it needs no port.
    made_here = (folder / ".generator.json").is_file()
    command = (python, "-m", packages[0].name, *(("--transport", "stdio") if made_here else ()))
    return Target(
        said,
        command=command,
        environ=(*_environ(), ("PYTHONPATH", str(packages[0].parent))),
        folder=str(folder),
    )


def _environ() -> tuple[tuple[str, str], ...]:
    """Hand on the environment: its settings are what the author set for the server."""
    return tuple((k, v) for k, v in os.environ.items() if k != "PYTHONPATH")
