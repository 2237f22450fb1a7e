"""Tells an entry in some client's file that leads to this very host."""

from pathlib import PurePath
from typing import cast
from urllib.parse import urlsplit

from host.config.yaml import Json, as_mapping

COMMANDS = ("host", "agent-host", "mcp-agent-host")
"""Names of the host's command, and of its distribution as `uvx` and `pipx` take it."""

_LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0")  # noqa: S104 - compared, never bound


def is_own_entry(entry: Json, *, port: int = 8765) -> bool:
    """Tell whether a client's entry starts this host's bridge or is its HTTP address.

    Args:
        entry: The entry, in any client's words.
        port: Port that this host listens on.
    """
    fields = as_mapping(entry) or {}
    if "HOST_TOKEN" in (as_mapping(fields.get("env") or fields.get("envs")) or {}):
        return True
    urls = (fields.get(key) for key in ("url", "httpUrl", "serverUrl", "uri"))
    if any(isinstance(url, str) and _is_own_url(url, port) for url in urls):
        return True
    return _is_own_command(_words(fields))


def _words(fields: dict[str, Json]) -> list[str]:
    args: Json = fields.get("args")
    listed = cast("list[Json]", args) if isinstance(args, list) else []
    words = [fields.get("command") or fields.get("cmd"), *listed]
    return [word for word in words if isinstance(word, str)]


def _is_own_command(words: list[str]) -> bool:
    for index, word in enumerate(words[:-1]):
        name = PurePath(word.replace("\\", "/")).name.removesuffix(".exe")
        if name in COMMANDS and words[index + 1] == "serve":
            return True
    return False


def _is_own_url(url: str, port: int) -> bool:
    try:
        parts = urlsplit(url)
        place = (parts.hostname, parts.port)
    except ValueError:
        return False
    return place in {(name, port) for name in _LOCAL}
