"""Finds, reads and layers the configuration files; what a stranger's folder says stays inert."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from host.config.clients import translate_entry
from host.config.defaults import default_servers
from host.config.document import validate_document
from host.config.expand import Expansion, expand, parse_env
from host.config.files import Stamp, stamp_file
from host.config.layers import add_project, check_tightenings, divide_project
from host.config.paths import CONFIG_NAMES, Paths, find_config, user_paths
from host.config.settings import Settings
from host.config.trust import TrustStore
from host.config.yaml import Document, Json, as_mapping, dotted, parse_yaml, read_bytes
from host.domain.errors import ConfigError, InvalidConfigError
from host.domain.shell import quoted

SourceKind = Literal["option", "environment", "user", "project", "defaults"]
"""Where a configuration came from; `option` is `--config`, `environment` is `HOST_CONFIG`."""


@dataclass(frozen=True, slots=True)
class Source:
    """One configuration that took part.

    Attributes:
        kind: How it was found.
        file: The file; None for the built-in defaults.
        env_file: The `.env` beside it, if it was read.
    """

    kind: SourceKind
    file: Path | None = None
    env_file: Path | None = None


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings in force, and how they came about.

    Attributes:
        settings: What holds.
        sources: What was read, strongest last.
        warnings: What was found and is not used, in sentences for the user.
        places: Dotted field → `file:line` that set it; a field that is absent is a default.
        watched: Files whose change can change the outcome, whether they exist or not, with their
            stamps from before they were read.
        folder: The working folder whose files may take part; None if none may.
    """

    settings: Settings
    sources: tuple[Source, ...]
    warnings: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict[str, str])
    watched: Mapping[Path, Stamp | None] = field(default_factory=dict[Path, Stamp | None])
    folder: Path | None = None


@dataclass(slots=True)
class _Reading:
    """What one call of `load_settings` gathers."""

    paths: Paths
    environ: Mapping[str, str]
    sources: list[Source] = field(default_factory=list[Source])
    warnings: list[str] = field(default_factory=list[str])
    places: dict[str, str] = field(default_factory=dict[str, str])
    watched: dict[Path, Stamp | None] = field(default_factory=dict[Path, Stamp | None])

    def watch(self, *files: Path) -> None:
        """Note files that are about to be read."""
        for file in files:
            self.watched[file] = stamp_file(file)


def load_settings(
    config: Path | None = None,
    *,
    folder: Path | None = None,
    paths: Paths | None = None,
    environ: Mapping[str, str] = os.environ,
) -> LoadedSettings:
    """Read the configuration that holds.

    An explicit file (`config`, then `HOST_CONFIG`) holds alone. Otherwise it is the user's own
    file, or the built-in defaults, with the working folder's file over it if that is trusted.

    Args:
        config: The file given with `--config`; None if none was.
        folder: Working folder whose file may take part; None leaves every folder out.
        paths: The user's folders; None means those of the environment.
        environ: Variables for `HOST_CONFIG`, the folders and the references.

    Raises:
        ConfigError: A file cannot be read or parsed.
        InvalidConfigError: It was read and has faults; the error lists them all.
    """
    reading = _Reading(paths or user_paths(environ), environ)
    explicit = _explicit(config, environ)
    if explicit is not None:
        settings = _read_own(explicit, reading)
    else:
        settings = _read_user(reading)
        if folder is not None:
            settings = _add_folder(settings, folder.absolute(), reading)
    return LoadedSettings(
        settings=settings,
        sources=tuple(reading.sources),
        warnings=tuple(reading.warnings),
        places=reading.places,
        watched=reading.watched,
        folder=folder,
    )


_EMPTY: dict[str, Json] = {}


def _explicit(config: Path | None, environ: Mapping[str, str]) -> Source | None:
    if config is not None:
        return Source("option", config.expanduser().absolute())
    named = environ.get("HOST_CONFIG")
    return Source("environment", Path(named).expanduser().absolute()) if named else None


def explicit_file(config: Path | None, *, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file that `--config` or `HOST_CONFIG` names, None if neither is given."""
    source = _explicit(config, environ)
    return source.file if source else None


def read_variables(file: Path) -> dict[str, str]:
    """Return the variables of the `.env` beside a file of the user's own.

    Raises:
        ConfigError: It cannot be read.
    """
    env_file = file.with_name(".env")
    return parse_env(_text(read_bytes(env_file), env_file)) if env_file.is_file() else {}


def _read_user(reading: _Reading) -> Settings:
    reading.watch(reading.paths.user_config)
    file = find_config(reading.paths.config)
    if file is not None:
        return _read_own(Source("user", file), reading)
    reading.sources.append(Source("defaults"))
    return Settings(servers=default_servers())


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def _read_own(source: Source, reading: _Reading) -> Settings:
    """Read a file of the user's own; without a block of servers it keeps the bundled ones."""
    file = cast("Path", source.file)
    env_file = file.with_name(".env")
    reading.watch(file, env_file)
    variables = read_variables(file)
    if env_file.is_file():
        _warn_open(env_file, reading)
    reading.sources.append(Source(source.kind, file, env_file if variables else None))
    document, settings = _check(read_bytes(file), file, variables=variables, reading=reading)
    _note_places(document, reading)
    if not {"servers", "mcp_servers"} & settings.model_fields_set:
        settings = settings.model_copy(update={"servers": default_servers()})
    return settings


def _check(
    content: bytes, file: Path, *, variables: Mapping[str, str], reading: _Reading
) -> tuple[Document, Settings]:
    document, expansion = _prepare(content, file, variables=variables, reading=reading)
    settings = validate_document(Settings, document, value=expansion.value, known=expansion.errors)
    return document, _merge_blocks(settings, document).with_secrets(frozenset(expansion.secrets))


def check_content(
    content: bytes,
    file: Path,
    *,
    variables: Mapping[str, str],
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Return what a file of the user's would mean, before it is written.

    Args:
        content: What the file is going to say.
        file: Where it is going to be.
        variables: Those of the `.env` beside it.
        environ: Variables for the references.

    Raises:
        ConfigError: It cannot be parsed.
        InvalidConfigError: It has faults.
    """
    reading = _Reading(user_paths(environ), environ)
    return _check(content, file, variables=variables, reading=reading)[1]


def _warn_open(env_file: Path, reading: _Reading) -> None:
    if os.name == "posix" and env_file.stat().st_mode & 0o077:
        reading.warnings.append(
            f"{env_file} can be read by others on this machine; run `chmod 600 {env_file}`."
        )


def _text(content: bytes, file: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("The file is not UTF-8 text.", file=file) from None


def _prepare(
    content: bytes, file: Path, *, variables: Mapping[str, str], reading: _Reading
) -> tuple[Document, Expansion]:
    """Parse, translate the clients' block, expand, and make working folders absolute."""
    document = parse_yaml(content, file=file)
    value = {} if document.value is None else as_mapping(document.value)
    if value is None:
        raise document.error("The file has to be a mapping, such as 'servers: …'.")
    # A section whose lines are all commented out is an empty one.
    value = {key: _EMPTY if item is None else item for key, item in value.items()}
    entries = as_mapping(value.get("mcpServers"))
    if entries is not None:
        value = {**value, "mcpServers": _translate(entries, file, reading)}
    document = Document(value, file, document.lines)
    # The environment wins over the file, as everywhere: a variable can be overridden for one run.
    expansion = expand(document, {**variables, **reading.environ})
    _absolute_folders(expansion.value, file.parent, environ=reading.environ)
    return document, expansion


def _translate(entries: dict[str, Json], file: Path, reading: _Reading) -> dict[str, Json]:
    translated: dict[str, Json] = {}
    for name, entry in entries.items():
        translated[name], notes = translate_entry(entry)
        reading.warnings.extend(f"{file}: mcpServers.{name}: {note}." for note in notes)
    return translated


def _absolute_folders(value: Json, base: Path, *, environ: Mapping[str, str]) -> None:
    for block in ("servers", "mcpServers"):
        for entry in (as_mapping(value.get(block)) or {}).values():
            _absolute_folder(as_mapping(entry) or {}, base, home=_home(environ))


def _absolute_folder(entry: dict[str, Json], base: Path, *, home: Path) -> None:
    text = entry.get("cwd")
    if isinstance(text, str):
        inside = text[2:] if text.startswith("~/") else "" if text == "~" else None
        entry["cwd"] = str(base / text if inside is None else home / inside)


def _merge_blocks(settings: Settings, document: Document) -> Settings:
    twice = sorted(settings.servers.keys() & settings.mcp_servers.keys())
    if twice:
        raise InvalidConfigError(
            document.error(
                f"The server {name!r} is also in 'servers'.",
                place=("mcpServers", name),
                next_step="Keep one of the two.",
            )
            for name in twice
        )
    if not settings.mcp_servers:
        return settings
    merged = {**settings.servers, **settings.mcp_servers}
    return settings.model_copy(update={"servers": merged, "mcp_servers": {}})


def _note_places(document: Document, reading: _Reading) -> None:
    for place, line in document.lines.items():
        if place:
            head = "servers" if place[0] == "mcpServers" else place[0]
            reading.places[dotted((head, *place[1:]))] = f"{document.file}:{line}"


def _add_folder(user: Settings, folder: Path, reading: _Reading) -> Settings:
    reading.watch(find_config(folder) or folder / CONFIG_NAMES[0])
    file = find_config(folder)
    own = {source.file for source in reading.sources}
    if file is None or file in own:
        return user
    reading.watch(file, folder / ".env", reading.paths.trust)
    trust = TrustStore(reading.paths.trust)
    found = trust.read(file)
    if found.content is None:
        reading.warnings.append(_inert(found.reason, folder))
        return user
    variables = _trusted_variables(folder / ".env", trust, reading)
    reading.sources.append(Source("project", file, folder / ".env" if variables else None))
    return _read_project(user, Document(found.content, file), variables, reading)


def _inert(reason: str | None, folder: Path) -> str:
    return f"{reason} It has no effect until you read it and run `host trust {quoted(folder)}`."


def _trusted_variables(env_file: Path, trust: TrustStore, reading: _Reading) -> dict[str, str]:
    found = trust.read(env_file)
    if found.content is None:
        if found.state != "absent":
            reading.warnings.append(_inert(found.reason, env_file.parent))
        return {}
    return parse_env(_text(found.content, env_file))


def _read_project(
    user: Settings, raw: Document, variables: Mapping[str, str], reading: _Reading
) -> Settings:
    file = cast("Path", raw.file)
    document, expansion = _prepare(raw.value, file, variables=variables, reading=reading)
    parts = divide_project(document, expansion.value, user=user)
    reading.warnings.extend(
        f"{file}: {name!r} is ignored in a working folder; only your own file can set it."
        for name in parts.ignored
    )
    tightened = check_tightenings(document, parts, known=expansion.errors)
    added = validate_document(Settings, document, value=parts.added)
    added = _merge_blocks(added, document).with_secrets(frozenset(expansion.secrets))
    _note_places(document, reading)
    servers = {
        name: server.model_copy(update={"cwd": server.cwd or str(file.parent)})
        if server.kind == "stdio"
        else server
        for name, server in added.servers.items()
    }
    return add_project(user, added.model_copy(update={"servers": servers}), tightened)
