"""Where each MCP client keeps its list of servers, and how an entry reads there."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from host.config.jsonc import parse_jsonc, remove_json, set_json
from host.config.yaml import Json, as_mapping, parse_yaml
from host.config.yaml_edit import remove_yaml, set_yaml
from host.domain.errors import NotFoundError

Style = Literal["plain", "typed", "goose"]
"""Shape of an entry; `typed` has a `type` field, `goose` its own field names."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The folders that clients keep their files under."""

    home: Path
    environ: Mapping[str, str]
    platform: str

    @property
    def roaming(self) -> Path:
        """Where desktop programs keep their settings on this system."""
        if self.platform == "win32":
            given = self.environ.get("APPDATA")
            return Path(given) if given else self.home / "AppData" / "Roaming"
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return self.xdg

    @property
    def xdg(self) -> Path:
        """The folder of XDG_CONFIG_HOME, also where it is used on macOS."""
        given = self.environ.get("XDG_CONFIG_HOME", "")
        return Path(given) if Path(given).is_absolute() else self.home / ".config"


def this_machine(
    environ: Mapping[str, str] = os.environ, *, platform: str = sys.platform
) -> Machine:
    """Return the machine that the environment describes."""
    home = environ.get("USERPROFILE" if platform == "win32" else "HOME")
    return Machine(Path(home) if home else Path.home(), environ, platform)


@dataclass(frozen=True, slots=True)
class Client:
    """One MCP client.

    Attributes:
        name: Name on the command line and of its token.
        title: Name that people know it by.
        locate: Its file for the whole user on a machine.
        block: Key of the block of servers in that file.
        style: Shape of an entry.
        url_key: Field that takes an HTTP address; None if the file takes none.
    """

    name: str
    title: str
    locate: Callable[[Machine], Path]
    block: str = "mcpServers"
    style: Style = "plain"
    url_key: str | None = "url"

    def parse(self, text: str) -> dict[str, Json]:
        """Return what a file of this client says."""
        value = parse_yaml(text).value if self.style == "goose" else parse_jsonc(text)
        return as_mapping(value) or {}

    def add(self, text: str, name: str, entry: Json) -> str:
        """Return the text with an entry set, everything else as it was."""
        if self.style == "goose":
            return set_yaml(text, self.block, name, entry=entry)
        return set_json(text, (self.block, name), entry)

    def remove(self, text: str, name: str) -> str:
        """Return the text without an entry, everything else as it was."""
        if self.style == "goose":
            return remove_yaml(text, self.block, name)
        return remove_json(text, (self.block, name))

    def stdio_entry(
        self, name: str, command: str, args: list[str], *, env: dict[str, str]
    ) -> dict[str, Json]:
        """Return the entry of a program."""
        if self.style == "goose":
            head: dict[str, Json] = {"enabled": True, "type": "stdio", "name": name}
            return {**head, "cmd": command, "args": args, "envs": env, "timeout": 300}
        head = {"type": "stdio"} if self.style == "typed" else {}
        return {**head, "command": command, "args": args, "env": env}

    def http_entry(self, name: str, url: str, *, token: str) -> dict[str, Json]:
        """Return the entry of an address; only where `url_key` is not None."""
        headers = {"Authorization": f"Bearer {token}"}
        if self.style == "goose":
            head: dict[str, Json] = {"enabled": True, "type": "streamable_http", "name": name}
            return {**head, "uri": url, "headers": headers, "timeout": 300}
        head = {"type": "http"} if self.style == "typed" else {}
        return {**head, str(self.url_key): url, "headers": headers}


def _goose(machine: Machine) -> Path:
    if machine.platform == "win32":
        return machine.roaming / "Block" / "goose" / "config" / "config.yaml"
    return machine.xdg / "goose" / "config.yaml"


def _claude_code(machine: Machine) -> Path:
    given = machine.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(given) if given else machine.home) / ".claude.json"


CLIENTS: dict[str, Client] = {
    client.name: client
    for client in (
        Client(
            "claude-desktop",
            "Claude Desktop",
            lambda machine: machine.roaming / "Claude" / "claude_desktop_config.json",
            url_key=None,
        ),
        Client("claude-code", "Claude Code", _claude_code, style="typed"),
        Client("cursor", "Cursor", lambda machine: machine.home / ".cursor" / "mcp.json"),
        Client(
            "vscode",
            "VS Code",
            lambda machine: machine.roaming / "Code" / "User" / "mcp.json",
            block="servers",
            style="typed",
        ),
        Client(
            "gemini-cli",
            "Gemini CLI",
            lambda machine: machine.home / ".gemini" / "settings.json",
            url_key="httpUrl",
        ),
        Client("goose", "goose", _goose, block="extensions", style="goose", url_key="uri"),
        Client(
            "windsurf",
            "Windsurf",
            lambda machine: machine.home / ".codeium" / "windsurf" / "mcp_config.json",
            url_key="serverUrl",
        ),
    )
}
"""The clients that `host install` and `host servers import` know, by name."""


def find_client(name: str) -> Client:
    """Return a client by its name.

    Raises:
        NotFoundError: No client of this name is known.
    """
    if name not in CLIENTS:
        near = NotFoundError("client", name, CLIENTS).next_step
        known = f"Known are {', '.join(CLIENTS)}."
        raise NotFoundError("client", name, CLIENTS, next_step=near or known)
    return CLIENTS[name]
