"""Adds a generated server to host.yaml, so that the host starts or reaches it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generator.spec import ServerSpec


def register_server(
    name: str, project: Path, *, spec: "ServerSpec", config: Path | None = None
) -> Path:
    """Add the entry of a generated server to the user's configuration, and return the file.

    Args:
        name: Name of the server in host.yaml.
        project: The project's folder.
        spec: What it was made from.
        config: The configuration, if not the user's own.

    Raises:
        ConfigError: The name is taken, or the file cannot be edited.
    """
    from host.cli.servers import refuse_taken, target_file, with_bundled
    from host.config.edit import edit_config, set_server

    file = target_file(config)
    refuse_taken(file, name, replace=False)
    entry = entry_of(project.resolve(), spec)
    edit_config(file, lambda text: set_server(file, name, entry)(with_bundled(text, file)))
    return file


def entry_of(project: Path, spec: "ServerSpec") -> dict[str, object]:
    """Return the entry: the project's own environment where it has one, else the host's Python."""
    prefix = f"{spec.package.upper()}_"
    if spec.transport == "http":
        entry: dict[str, object] = {"url": "http://127.0.0.1:8000/mcp"}
        if spec.auth == "bearer":
            entry["auth"] = {"type": "bearer", "token": f"${{{prefix}AUTH_TOKEN}}"}
        elif spec.auth == "oauth":
            entry["auth"] = {"type": "oauth"}
        return entry
    own = project / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    entry = {
        "command": str(own) if own.exists() else sys.executable,
        "args": ["-m", spec.package],
        "cwd": str(project / "src"),
    }
    names = [f"{prefix}{setting.name.upper()}" for setting in spec.source.settings]
    if names:
        entry["env"] = {name: f"${{{name}:-}}" for name in names}
    return entry
