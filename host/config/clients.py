"""Entries of the `mcpServers` block that clients use, put into the host's own words."""

from typing import cast

from host.config.yaml import Json

_RENAMED = {"serverUrl": "url", "httpUrl": "url", "uri": "url", "cmd": "command", "envs": "env"}
_IGNORED = (
    *("alwaysAllow", "autoApprove", "trust", "description", "name", "icon", "iconUrl", "gallery"),
    *("version", "dev", "envFile", "sandbox", "sandboxEnabled", "display_name", "bundled_as"),
    *("env_keys", "available_tools", "oauth", "authProviderType", "timeout", "startup_timeout"),
    *("includeTools", "excludeTools", "disabledTools", "alwaysLoad", "auth", "socket"),
)
_PERMISSIONS = ("alwaysAllow", "autoApprove", "trust")


def translate_entry(entry: Json) -> tuple[Json, list[str]]:
    """Return a client's entry in the words of `ServerConfig`, and what got lost, as sentences.

    What is in nobody's vocabulary stays, so that checking it names it; anything but a mapping
    comes back as it is.
    """
    if not isinstance(entry, dict):
        return entry, []
    known = dict(cast("dict[str, Json]", entry))
    out: dict[str, Json] = {}
    notes: list[str] = []
    for key, value in known.items():
        if key in ("disabled", "enabled") and isinstance(value, bool):
            out["enabled"] = value if key == "enabled" else not value
        elif key in _RENAMED:
            out.setdefault(_RENAMED[key], value)
        elif key in ("includeTools", "available_tools") and value:
            _tools(out)["allow"] = value
        elif key in ("excludeTools", "disabledTools") and value:
            _tools(out)["deny"] = value
        elif key in _IGNORED and not _is_ours(key, value):
            notes.extend(_lost(key, value))
        else:
            out[key] = value
    return _tidy(out), notes


def _tools(out: dict[str, Json]) -> dict[str, Json]:
    return out.setdefault("tools", {})


def _is_ours(key: str, value: Json) -> bool:
    """Tell our own `auth: {type: …}` and `timeout` in seconds from a client's fields."""
    if key == "auth":
        return isinstance(value, dict)
    return key == "timeout" and isinstance(value, int | float) and value <= 600


def _lost(key: str, value: Json) -> list[str]:
    if key in _PERMISSIONS and value:
        return [f"{key} is not taken over: what runs unasked is said by policy"]
    if key == "envFile":
        return [f"envFile {value!r} is not read; put its variables into the .env beside host.yaml"]
    if key == "timeout":
        return [f"timeout {value!r} looks like milliseconds; set timeout in seconds if it matters"]
    return []


def _tidy(out: dict[str, Json]) -> dict[str, Json]:
    kind = str(out.get("type", "")).lower().replace("_", "-")
    if out.get("type") is not None and kind in ("local", "stdio", "builtin"):
        out.pop("type")
    elif kind in ("remote", "streamable-http", "streamablehttp", "ws"):
        out["type"] = "http"
    if "url" in out:  # clients leave an empty list or mapping beside the address
        for key in ("args", "env", "cwd"):
            if not out.get(key):
                out.pop(key, None)
    elif not out.get("headers"):
        out.pop("headers", None)
    return out
