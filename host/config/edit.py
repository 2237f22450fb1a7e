"""Changes the user's own host.yaml and `.env`: checked first, whole or not at all, old one kept."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from host.config.expand import parse_env
from host.config.files import lock_file, write_private
from host.config.jsonc import remove_json, set_json
from host.config.load import check_content
from host.config.yaml import Json, read_bytes
from host.config.yaml_edit import remove_yaml, set_yaml
from host.domain.errors import ConfigError

BLOCKS = ("servers", "mcpServers")
"""Keys of a configuration under which servers are listed."""


def edit_config(
    file: Path,
    change: Callable[[str], str],
    *,
    variables: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Change a configuration file, and its `.env` with it; the old one stays as `NAME.bak`.

    Args:
        file: The file; it is made if it is absent.
        change: Returns the new text for the old one.
        variables: Variables to add to the `.env` beside the file.
        environ: Variables for the references.

    Raises:
        ConfigError: The file cannot be read, edited or written, or would have faults.
    """
    with lock_file(file):
        before = read_bytes(file).decode("utf-8-sig") if file.exists() else ""
        after = change(before)
        env_file = file.with_name(".env")
        env_before = read_bytes(env_file).decode("utf-8-sig") if env_file.exists() else ""
        env_after = add_variables(env_before, variables or {})
        check_content(after.encode(), file, variables=parse_env(env_after), environ=environ)
        if env_after != env_before:
            write_private(env_file, env_after)
        if file.exists():
            write_private(file.with_name(f"{file.name}.bak"), before)
        write_private(file, after)


def set_server(file: Path, name: str, entry: Json) -> Callable[[str], str]:
    """Return the change that adds a server to a file, or replaces it."""
    if file.suffix == ".json":
        return lambda text: set_json(text, ("servers", name), entry)
    return lambda text: set_yaml(text, "servers", name, entry=entry)


def drop_server(file: Path, name: str) -> Callable[[str], str]:
    """Return the change that removes a server from a file, in whichever block it is."""

    def change(text: str) -> str:
        for block in BLOCKS:
            if file.suffix == ".json":
                text = remove_json(text, (block, name))
            else:
                text = remove_yaml(text, block, name)
        return text

    return change


def add_variables(text: str, variables: Mapping[str, str]) -> str:
    """Return a `.env` text with variables added; those it has already stay as they are.

    Raises:
        ConfigError: A variable would not be read back as it is.
    """
    known = parse_env(text)
    new = {name: value for name, value in variables.items() if name not in known}
    if text and not text.endswith("\n"):
        text += "\n"
    for name, value in new.items():
        text += f"{name}={_quote(value)}\n"
    if parse_env(text) != {**known, **new}:
        raise ConfigError("A value cannot be written to .env; put it into host.yaml by hand.")
    return text


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
