"""Adds a generated server to host.yaml, so that the host starts or reaches it; again renews it."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generator.spec import ServerSpec


@dataclass(frozen=True)
class Project:
    """What the entry of a generated server is made from."""

    name: str
    folder: Path
    package: str
    transport: str
    auth: str
    variables: tuple[str, ...]
    """Variables of the environment that set something."""


def project_of(spec: "ServerSpec", folder: Path) -> Project:
    """Return the project that was made of a specification."""
    prefix = f"{spec.package.upper()}_"
    names = tuple(f"{prefix}{setting.name.upper()}" for setting in spec.source.settings)
    return Project(spec.name, folder.resolve(), spec.package, spec.transport, spec.auth, names)


def read_project(folder: Path) -> Project:
    """Return a project that is there, from its own files.

    Raises:
        GeneratorError: It was not made by `host new-server`, or its package is gone.
    """
    from generator.answers import from_record
    from generator.errors import GeneratorError
    from generator.project import read_record

    answers = from_record(read_record(folder).answers)
    packages = [file.parent.name for file in sorted(folder.glob("src/*/__main__.py"))]
    if not packages or not packages[0].isidentifier():
        raise GeneratorError(f"{folder} has no package with a __main__.py in src.")
    example = folder / ".env.example"
    text = example.read_text("utf-8", "replace") if example.is_file() else ""
    own = re.findall(rf"^#?({packages[0].upper()}_[A-Z0-9_]+)=", text, re.MULTILINE)
    taken = {"AUTH_TOKEN", "PUBLIC_URL"} | {
        f"OAUTH_{name}" for name in ("ISSUER", "JWKS_URL", "AUDIENCE")
    }
    names = tuple(n for n in own if n.removeprefix(f"{packages[0].upper()}_") not in taken)
    return Project(
        answers.name, folder.resolve(), packages[0], answers.transport, answers.auth, names
    )


def register_project(project: Project, config: Path | None = None) -> str:
    """Add or renew the entry of a generated server, and return a sentence about it.

    Args:
        project: The project.
        config: The configuration, if not the user's own.

    Raises:
        ConfigError: The name is another server's, or the file cannot be edited.
    """
    from host.cli.servers import target_file, with_bundled
    from host.config.edit import edit_config, set_server

    file = target_file(config)
    refuse_other(file, project.name, project.folder)
    old = _entry_in(file, project.name)
    entry = {**old, **entry_of(project)}
    if old and isinstance(old.get("env"), dict):
        entry["env"] = {**entry.get("env", {}), **old["env"]}
    if entry == old:
        return f"{project.name} is in {file} already, and nothing has changed."
    edit_config(file, lambda text: set_server(file, project.name, entry)(with_bundled(text, file)))
    return f"{'Renewed' if old else 'Added'} {project.name} {'in' if old else 'to'} {file}."


def refuse_other(file: Path, name: str, folder: Path) -> None:
    """Raise a `ConfigError` where a file has a server of this name that is not this project."""
    from host.cli.servers import refuse_taken

    old = _entry_in(file, name)
    ours = old.get("cwd") == str(folder.resolve() / "src") or old.get("url") == URL
    refuse_taken(file, name, replace=bool(old) and ours)


def _entry_in(file: Path, name: str) -> dict[str, Any]:
    """Return the entry of a server as the file has it, its variables unread."""
    from host.config.edit import BLOCKS
    from host.config.yaml import as_mapping, parse_yaml

    if not file.exists():
        return {}
    present = as_mapping(parse_yaml(file.read_text("utf-8-sig"), file=file).value) or {}
    for block in BLOCKS:
        found = as_mapping((as_mapping(present.get(block)) or {}).get(name))
        if found:
            return dict(found)
    return {}


URL = "http://127.0.0.1:8000/mcp"
"""Where a generated server listens that is not told otherwise."""


def entry_of(project: Project) -> dict[str, Any]:
    """Return the entry: over stdio, the project's own environment starts it."""
    prefix = f"{project.package.upper()}_"
    if project.transport == "http":
        entry: dict[str, Any] = {"url": URL}
        if project.auth == "bearer":
            entry["auth"] = {"type": "bearer", "token": f"${{{prefix}AUTH_TOKEN}}"}
        elif project.auth == "oauth":
            entry["auth"] = {"type": "oauth"}
        return entry
    entry = {
        "command": str(own_python(project.folder)),
        "args": ["-m", project.package],
        "cwd": str(project.folder / "src"),
    }
    if project.variables:
        entry["env"] = {name: f"${{{name}:-}}" for name in project.variables}
    return entry


def own_python(folder: Path) -> Path:
    """Return the Python of a project's environment, which may not be there yet."""
    return folder / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
