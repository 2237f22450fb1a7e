"""`host servers`: the list of tool servers in the user's own configuration."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from host.cli.config import CONFIG_OPTION, JSON_OPTION, load
from host.cli.login import register_login

if TYPE_CHECKING:
    from host.config.imports import FoundServer
    from host.config.servers import ServerConfig


def register(root: typer.Typer) -> None:
    """Add `host servers`; a further command of the group is one more line here."""
    group = typer.Typer(no_args_is_help=True, help="List, add, remove and import tool servers.")
    group.command("list")(list_servers)
    group.command("add")(add)
    group.command("remove")(remove)
    group.command("import")(import_servers)
    group.command("restart")(restart)
    register_login(group)
    root.add_typer(group, name="servers")


def restart(name: str = typer.Argument(help="Name of the server.")) -> None:
    """Start a server's connections anew in the running daemon, without waiting for its delay."""
    from host.cli.control import ask_daemon

    if ask_daemon("restart", {"name": name}) is None:
        print("No daemon runs; the server is started when it is needed.")
    else:
        print(f"Restarted {name}.")


def list_servers(config: Path | None = CONFIG_OPTION, as_json: bool = JSON_OPTION) -> None:
    """List the servers, how each is reached, and which file says so."""
    loaded = load(config)
    rows = [
        {
            "name": name,
            "kind": server.kind,
            "target": describe(server),
            "enabled": server.enabled,
            "prefix": name if server.prefix is None else server.prefix,
            "source": loaded.places.get(f"servers.{name}", "built-in"),
        }
        for name, server in loaded.settings.servers.items()
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    if not rows:
        print("There are no servers; add one with `host servers add NAME -- COMMAND`.")
    for row in rows:
        off = "" if row["enabled"] else "  (disabled)"
        print(f"{row['name']:<20} {row['kind']:<8} {row['target']}{off}  # {row['source']}")


def describe(server: "ServerConfig") -> str:
    """Return how a server is reached, in one line without secrets."""
    if server.bundled is not None:
        return server.bundled
    if server.url is not None:
        return str(server.url).split("?", maxsplit=1)[0]
    return server.command or ""


def target_file(config: Path | None) -> Path:
    """Return the file that edits go to: the one given, HOST_CONFIG's, or the user's own."""
    from host.config.load import explicit_file
    from host.config.paths import user_paths

    return explicit_file(config) or user_paths().user_config


def with_bundled(text: str, file: Path) -> str:
    """Write down the bundled servers that hold by default, which a list of servers would end."""
    from host.config.defaults import default_servers
    from host.config.edit import BLOCKS, set_server
    from host.config.yaml import as_mapping, parse_yaml

    present = as_mapping(parse_yaml(text, file=file).value) or {}
    if any(block in present for block in BLOCKS):
        return text
    for name, server in default_servers().items():
        entry = server.model_dump(mode="json", exclude_unset=True)
        text = set_server(file, name, entry)(text)
    return text


def add(  # noqa: PLR0913 - each is an option of the command line
    name: str = typer.Argument(help="Name of the server; its tools become NAME__tool."),
    command: list[str] | None = typer.Argument(
        None, metavar="[-- COMMAND ARGS...]", help="Program to start, after two dashes."
    ),
    *,
    url: str | None = typer.Option(None, help="Address of an HTTP server instead."),
    env: list[str] | None = typer.Option(None, metavar="NAME=VALUE", help="Variable for it."),
    header: list[str] | None = typer.Option(None, metavar="NAME=VALUE", help="HTTP header."),
    transport: str | None = typer.Option(None, help="sse for a legacy HTTP server."),
    replace: bool = typer.Option(False, "--replace", help="Replace a server of this name."),
    config: Path | None = CONFIG_OPTION,
) -> None:
    """Add a server to your configuration; values that look secret go to the .env beside it."""
    from host.config.edit import edit_config, set_server
    from host.config.hide import hide_secrets
    from host.config.load import read_variables
    from host.config.names import check_name
    from host.domain.errors import ConfigError

    problem = check_name(name)
    if problem:
        raise ConfigError(problem)
    if bool(command) == bool(url):
        raise ConfigError(
            "Either a command or --url is expected.",
            next_step=f"For example `host servers add {name} -- npx -y some-server`.",
        )
    file = target_file(config)
    entry: dict[str, object] = {}
    if command:
        entry = {"command": command[0], "args": command[1:], "env": _pairs(env, "--env")}
    else:
        entry = {"url": url, "transport": transport, "headers": _pairs(header, "--header")}
    entry = {key: value for key, value in entry.items() if value}
    refuse_taken(file, name, replace=replace)
    hidden = hide_secrets(name, entry, taken=read_variables(file))
    edit_config(
        file,
        lambda text: set_server(file, name, hidden.entry)(with_bundled(text, file)),
        variables=hidden.variables,
    )
    print(f"Added {name} to {file}.")
    if hidden.variables:
        print(f"Kept in {file.with_name('.env')}: {', '.join(hidden.variables)}.")


def refuse_taken(file: Path, name: str, *, replace: bool) -> None:
    """Raise a `ConfigError` where a file has a server of this name already."""
    from host.config.load import load_settings
    from host.domain.errors import ConfigError

    if replace or not file.exists():
        return
    loaded = load_settings(file)
    if f"servers.{name}" in loaded.places:
        raise ConfigError(
            f"There is already a server {name!r}.",
            file=file,
            next_step="`host servers add --replace` replaces it, or choose another name.",
        )


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    from host.domain.errors import ConfigError

    pairs: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"{option} takes NAME=VALUE.", next_step=f"Found {name!r}.")
        pairs[name] = value
    return pairs


def remove(
    name: str = typer.Argument(help="Name of the server."), config: Path | None = CONFIG_OPTION
) -> None:
    """Remove a server from your configuration; the old file stays as .bak."""
    from host.config.edit import drop_server, edit_config
    from host.config.load import load_settings
    from host.domain.errors import ConfigError, NotFoundError

    file = target_file(config)
    loaded = load_settings(file) if file.exists() else load_settings()
    known = loaded.settings.servers
    if name not in known:
        raise NotFoundError("server", name, known)
    if f"servers.{name}" not in loaded.places:
        raise ConfigError(
            f"The server {name!r} is one of the defaults and in no file.",
            next_step="Run `host init`, then remove it.",
        )
    edit_config(file, drop_server(file, name))
    print(f"Removed {name} from {file}.")


def import_servers(
    source: str | None = typer.Option(
        None, "--from", metavar="CLIENT|FILE", help="A client or a file; all clients without it."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would be added."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    config: Path | None = CONFIG_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Add the servers that other MCP clients have; their secrets go to the .env file."""
    found = _collect(source, target_file(config))
    wanted = [server for server in found if server.skipped is None]
    if as_json:
        print(json.dumps([_row(server) for server in found], indent=1))
    else:
        _preview(found)
    if dry_run or not wanted:
        return
    if not yes and not typer.confirm(f"Add {len(wanted)} to {target_file(config)}?"):
        raise typer.Exit(1)
    _write(wanted, target_file(config))
    if not as_json:
        print(f"Added {len(wanted)} to {target_file(config)}.")


def _collect(source: str | None, file: Path) -> list["FoundServer"]:
    import os

    from host.config.client_files import CLIENTS, this_machine
    from host.config.imports import Target, collect_servers, find_files
    from host.config.load import load_settings, read_variables
    from host.domain.errors import ConfigError, NotFoundError

    machine = this_machine()
    if source is None:
        files = find_files(machine)
    elif source in CLIENTS:
        files = [CLIENTS[source].locate(machine)]
    elif Path(source).exists():
        files = [Path(source).absolute()]
    else:
        raise NotFoundError("client or file", source, CLIENTS)
    settings = load_settings(file).settings if file.exists() else load_settings().settings
    target = Target(settings.servers, read_variables(file), os.environ, settings.http.port)
    found: list[FoundServer] = []
    for one in files:
        try:
            found += collect_servers(one, target, earlier=found)
        except ConfigError as error:
            if source is not None:
                raise
            typer.echo(f"host: warning: {error}", err=True)
    return found


def _row(server: "FoundServer") -> dict[str, object]:
    return {
        "name": server.name,
        "title": server.title,
        "file": str(server.file),
        "entry": server.entry if server.skipped is None else None,
        "variables": sorted(server.variables),
        "notes": server.notes,
        "skipped": server.skipped,
    }


def _preview(found: list["FoundServer"]) -> None:
    if not found:
        print("No servers were found.")
    for file in dict.fromkeys(server.file for server in found):
        print(f"{file}:")
        for server in found:
            if server.file != file:
                continue
            if server.skipped is not None:
                print(f"  - {server.title}: left out, {server.skipped}")
                continue
            entry = server.entry
            print(f"  + {server.name}: {entry.get('command') or entry.get('url')}")
            for note in server.notes:
                print(f"      {note}")
            if server.variables:
                print(f"      in .env: {', '.join(sorted(server.variables))}")


def _write(wanted: list["FoundServer"], file: Path) -> None:
    from host.config.edit import edit_config, set_server

    def change(text: str) -> str:
        text = with_bundled(text, file)
        for server in wanted:
            text = set_server(file, server.name, server.entry)(text)
        return text

    variables = {name: value for one in wanted for name, value in one.variables.items()}
    edit_config(file, change, variables=variables)
