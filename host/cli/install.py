"""`host install`: puts the host into an MCP client's configuration, or takes it out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from host.cli.config import JSON_OPTION, load

if TYPE_CHECKING:
    from host.config.client_files import Client
    from host.config.install import Installer


def register(root: typer.Typer) -> None:
    """Add `host install`."""
    root.command("install")(install)


def install(  # noqa: PLR0913 - each is an option of the command line
    client: str | None = typer.Argument(None, help="The client; without it, the known ones."),
    *,
    http: bool = typer.Option(False, "--http", help="By HTTP address instead of a program."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the change, make none."),
    uninstall: bool = typer.Option(False, "--uninstall", help="Take the host out again."),
    name: str = typer.Option("host", help="Name of the entry in the client."),
    file: Path | None = typer.Option(None, help="The client's file, where it is elsewhere."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Install the host in a client, with a token of its own; what is there is kept."""
    from host.config.client_files import find_client, this_machine
    from host.config.install import Installer
    from host.config.paths import user_paths

    if client is None:
        _list(as_json=as_json)
        return
    known = find_client(client)
    place = (file or known.locate(this_machine())).absolute()
    installer = Installer(known, place, user_paths().data / "installs", name)
    if uninstall:
        _uninstall(installer, dry_run=dry_run)
    else:
        _install(installer, http=http, dry_run=dry_run)


def _list(*, as_json: bool) -> None:
    from host.config.client_files import CLIENTS, this_machine

    machine = this_machine()
    rows = [(one.name, one.locate(machine)) for one in CLIENTS.values()]
    if as_json:
        listed = [
            {"client": name, "file": str(file), "exists": file.exists()} for name, file in rows
        ]
        print(json.dumps(listed, indent=1))
        return
    for name, file in rows:
        print(f"{name:<16} {file}{'' if file.exists() else '  (not there)'}")


def _install(installer: "Installer", *, http: bool, dry_run: bool) -> None:
    from host.config.paths import user_paths
    from host.domain.errors import ConfigError
    from host.identity.tokens import PREFIX, TokenStore

    client = installer.client
    placeholder = f"{PREFIX}…"
    planned = installer.plan_install(_entry(client, installer.entry, placeholder, http=http))
    if dry_run:
        print(planned.diff() or "Nothing would change.")
        return
    store = TokenStore(user_paths().tokens)
    token = store.create(client.name, attended=True, replace=True)
    try:
        entry = _entry(client, installer.entry, token, http=http)
        installer.install(installer.plan_install(entry))
    except ConfigError:
        store.revoke(client.name)
        raise
    print(f"Installed in {client.title}: {installer.file}")
    if installer.backup.exists():
        print(f"The file as it was: {installer.backup}")
    print(f"Restart {client.title} to connect; `host install {client.name} --uninstall` undoes it.")


def _entry(client: "Client", name: str, token: str, *, http: bool) -> dict[str, object]:
    from host.config.install import bridge_command, bridge_env
    from host.domain.errors import ConfigError

    if not http:
        command, *words = bridge_command()
        return client.stdio_entry(name, command, words, env=bridge_env(token))
    if client.url_key is None:
        raise ConfigError(
            f"{client.title} takes no HTTP address in its file.", next_step="Leave out --http."
        )
    settings = load(None).settings.http
    address = f"http://{settings.host}:{settings.port}{settings.path}"
    return client.http_entry(name, address, token=token)


def _uninstall(installer: "Installer", *, dry_run: bool) -> None:
    from host.config.paths import user_paths
    from host.domain.errors import NotFoundError
    from host.identity.tokens import TokenStore

    change = installer.plan_uninstall()
    if dry_run:
        print(change.diff() or "Nothing would change.")
        return
    installer.uninstall(change)
    print(f"Removed from {installer.client.title}: {installer.file}")
    try:
        TokenStore(user_paths().tokens).revoke(installer.client.name)
    except NotFoundError:
        return
    print("Its token is revoked.")
