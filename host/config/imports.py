"""Reads the servers that other MCP clients have, in the host's own words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from host.config.client_files import CLIENTS, Machine
from host.config.clients import translate_entry
from host.config.document import validate_document
from host.config.expand import Expansion, expand
from host.config.hide import hide_secrets
from host.config.jsonc import parse_jsonc
from host.config.names import check_name, suggest_name
from host.config.own import is_own_entry
from host.config.servers import ServerConfig
from host.config.settings import Settings
from host.config.yaml import Document, Json, as_mapping, parse_yaml, read_bytes
from host.domain.errors import ConfigError

_INPUT = re.compile(r"\$\{input:([^}]+)\}")
_ENV = re.compile(r"\$\{env:([^}]+)\}")
_FOREIGN = re.compile(r"\$\{(?:workspaceFolder|fileDirname|cwd|file|command)[^}]*\}")
_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


@dataclass(slots=True)
class FoundServer:
    """One server of a client.

    Attributes:
        name: Name it gets here.
        title: Name it has there.
        file: The client's file.
        entry: Its entry in the words of `ServerConfig`, without secrets.
        variables: Variables that the entry refers to and that go to `.env`.
        notes: What is different here, in sentences.
        skipped: Why it is not imported; None if it is.
    """

    name: str
    title: str
    file: Path
    entry: dict[str, Json] = field(default_factory=dict[str, Json])
    variables: dict[str, str] = field(default_factory=dict[str, str])
    notes: list[str] = field(default_factory=list[str])
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What the servers are imported into.

    Attributes:
        servers: Servers that are there.
        variables: Variables of its `.env`.
        environ: The environment.
        port: Port of this host, by which its own address is known.
    """

    servers: Mapping[str, ServerConfig]
    variables: Mapping[str, str]
    environ: Mapping[str, str]
    port: int = 8765


def find_files(machine: Machine) -> list[Path]:
    """Return the clients' files that this machine has; a working folder's are not among them."""
    places = (client.locate(machine) for client in CLIENTS.values())
    return [place for place in places if place.is_file()]


def read_servers(file: Path) -> dict[str, Json]:
    """Return the entries of a client's file, or a bare `mcp.json`, by name.

    Raises:
        ConfigError: It cannot be read, or lists no servers.
    """
    content = read_bytes(file)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("The file is not UTF-8 text.", file=file) from None
    try:
        yaml = file.suffix in (".yaml", ".yml")
        value = parse_yaml(text, file=file).value if yaml else parse_jsonc(text)
    except ConfigError as error:
        raise ConfigError(error.message, file=file, line=error.line) from None
    top = as_mapping(value)
    found = None if top is None else _blocks(top)
    if found is None:
        raise ConfigError(
            "No servers are listed there.",
            file=file,
            next_step="A block mcpServers, servers or extensions is expected.",
        )
    return found


def _blocks(top: dict[str, Json]) -> dict[str, Json] | None:
    """Return the entries of whichever block a file has, those of Claude Code's projects last."""
    nested = as_mapping(as_mapping(top.get("mcp") or {}) or {}) or {}
    choices = (top.get("mcpServers"), top.get("servers"), top.get("extensions"))
    blocks = [as_mapping(one) for one in (*choices, nested.get("servers"))]
    found: dict[str, Json] = {}
    for block in blocks:
        found.update(block or {})
    for folder, project in (as_mapping(top.get("projects")) or {}).items():
        for name, entry in (
            as_mapping((as_mapping(project) or {}).get("mcpServers")) or {}
        ).items():
            fields = as_mapping(entry)
            stdio = fields is not None and "command" in fields
            found.setdefault(name, {"cwd": folder, **fields} if fields and stdio else entry)
    known = any(block is not None for block in blocks) or "projects" in top
    return found if known or not top else None


def collect_servers(
    file: Path, target: Target, *, earlier: Sequence[FoundServer] = ()
) -> list[FoundServer]:
    """Return every server of a client's file, ready to be added, or why it is not.

    Args:
        file: The client's file.
        target: What they are added to.
        earlier: Servers of other files that are added in the same go.

    Raises:
        ConfigError: The file cannot be read.
    """
    found = list(earlier)
    for title, entry in read_servers(file).items():
        found.append(_take(FoundServer("", title, file), entry, target, earlier=found))
    return found[len(earlier) :]


def _take(
    server: FoundServer, entry: Json, target: Target, *, earlier: list[FoundServer]
) -> FoundServer:
    if is_own_entry(entry, port=target.port):
        server.name, server.skipped = server.title, "this is the host itself"
        return server
    if (as_mapping(entry) or {}).get("type") in ("builtin", "platform", "frontend"):
        server.name, server.skipped = server.title, "it is part of the client"
        return server
    translated, server.notes = translate_entry(_with_keys(entry))
    taken = {**target.variables, **{k: v for one in earlier for k, v in one.variables.items()}}
    plain = _foreign_references(translated, server)
    fields = as_mapping(plain)
    if fields is None:
        server.name, server.skipped = server.title, "its entry is not a mapping"
        return server
    server.name = suggest_name(server.title)
    hidden = hide_secrets(server.name, fields, taken=taken)
    server.entry, server.variables = hidden.entry, {**server.variables, **hidden.variables}
    _require_variables(server, {**target.environ, **taken})
    _check(server, {**target.environ, **taken, **server.variables})
    return _settle_name(server, target, earlier)


def _with_keys(entry: Json) -> Json:
    """Add the variables that goose keeps in its keyring as references."""
    fields = as_mapping(entry)
    keys: Json = fields.get("env_keys") if fields else None
    if not fields or not isinstance(keys, list):
        return entry
    env = {str(key): f"${{{key}}}" for key in cast("list[Json]", keys)}
    return {**fields, "envs": {**env, **(as_mapping(fields.get("envs")) or {})}}


def _foreign_references(value: Json, server: FoundServer) -> Json:
    """Put other clients' `${env:X}` and `${input:x}` into ours; what has no meaning here skips."""
    if isinstance(value, str):
        if _FOREIGN.search(value):
            server.skipped = f"it depends on the client's folder: {value}"
        text = _ENV.sub(lambda found: f"${{{found[1]}}}", value)
        text = text.replace("${userHome}", str(Path.home()))
        return _INPUT.sub(lambda found: _ask(found[1], server), text)
    if isinstance(value, list):
        return [_foreign_references(item, server) for item in cast("list[Json]", value)]
    members = as_mapping(value)
    if members is None:
        return value
    return {key: _foreign_references(item, server) for key, item in members.items()}


def _ask(name: str, server: FoundServer) -> str:
    variable = re.sub(r"\W+", "_", name).upper().strip("_")
    return f"${{{variable}}}"


def _require_variables(server: FoundServer, known: Mapping[str, str]) -> None:
    """Give every variable that nobody set an empty value, and say that it wants one."""
    for name in sorted(set(_REFERENCE.findall(repr(server.entry)))):
        if name not in known and name not in server.variables:
            server.variables[name] = ""
            server.notes.append(f"fill in {name} in .env")


def _check(server: FoundServer, variables: Mapping[str, str]) -> None:
    """Skip a server whose entry means nothing here, saying what is wrong with it."""
    document = Document({"servers": {"x": server.entry}})
    expansion: Expansion = expand(document, variables)
    try:
        validate_document(Settings, document, value=expansion.value, known=expansion.errors)
    except ConfigError as error:
        text = str(error).replace("servers.x.", "").replace("servers.x: ", "")
        server.skipped = server.skipped or " ".join(text.split())


def _settle_name(server: FoundServer, target: Target, earlier: list[FoundServer]) -> FoundServer:
    added = {one.name: one for one in earlier if one.skipped is None}
    same = next((one for one in added.values() if _same(one.entry, server.entry)), None)
    base, number = server.name, 1
    if same is not None:
        server.skipped = server.skipped or f"it is the same as {same.name!r} from {same.file}"
    elif base in target.servers:
        server.skipped = server.skipped or "there is already a server of this name"
    while server.skipped is None and server.name in added:
        number += 1
        server.name = f"{base[:28]}-{number}"
    if server.name != server.title and server.skipped is None:
        why = (check_name(server.title) or "the name is taken").split(";")[0].removesuffix(".")
        server.notes.insert(0, f"{why}: it becomes {server.name!r}")
    return server


def _same(one: dict[str, Json], other: dict[str, Json]) -> bool:
    keys = ("command", "args", "url")
    return all(one.get(key) == other.get(key) for key in keys)
