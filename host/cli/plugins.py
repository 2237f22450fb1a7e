"""`host plugins`: write, check, test, install and look after plugins."""

import contextlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from host.cli.client import show_json
from host.cli.config import JSON_OPTION
from host.cli.control import ask_daemon
from host.cli.status import print_log

if TYPE_CHECKING:
    from host.plugins.bundle import Bundle
    from host.plugins.installed import Installed, Register

PLUGIN = typer.Argument(help="A plugin's folder or file, or the name of an installed one or yours.")
NAME = typer.Argument(help="The name of an installed plugin.")


def register(root: typer.Typer) -> None:
    """Add `host plugins`."""
    from host.cli.new_part import new_plugin
    from host.cli.plugin_author import check, run, run_tests

    group = typer.Typer(no_args_is_help=True, help="Write, check, test and install plugins.")
    group.command("new")(new_plugin)
    group.command("check")(check)
    group.command("test")(run_tests)
    group.command("run")(run)
    group.command("install")(install)
    group.command("uninstall")(uninstall)
    group.command("enable")(enable)
    group.command("disable")(disable)
    group.command("list")(list_plugins)
    group.command("logs")(logs)
    root.add_typer(group, name="plugins")


def plugin_folders() -> list[Path]:
    """Return where plugins are looked for by name: the user's folder, then what is shipped."""
    from host.config.paths import user_paths
    from host.config.shipped import shipped_folder
    from host.domain.errors import ConfigError

    folders = [user_paths().config / "plugins"]
    with contextlib.suppress(ConfigError):
        folders.append(shipped_folder("plugins"))
    return folders


def find(given: str) -> "Bundle":
    """Read the plugin that is meant: a path, else an installed one, else one of the folders.

    Raises:
        HostError: There is none, or its files are faulty.
    """
    from host.plugins.bundle import find_bundle, load_bundle

    if not Path(given).expanduser().exists():
        entries = open_register().entries()
        installed = next((Path(one.place) for one in entries if one.name == given), None)
        if installed is not None and installed.exists():
            return load_bundle(installed)
    return load_bundle(find_bundle(given, plugin_folders()))


def open_register() -> "Register":
    """Return what is installed."""
    from host.config.paths import user_paths
    from host.plugins.installed import Register

    return Register(user_paths().data)


def install(
    plugin: str = PLUGIN,
    yes: bool = typer.Option(False, "--yes", "-y", help="Agree to what it asks for, unasked."),
    editable: bool = typer.Option(
        False, "--editable", "-e", help="Your own work: edits take effect without asking again."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what a plugin asks for, and offer its tools once you agree.

    It is pinned by the digest of its files: a change is shown and asked about again.
    """
    from host.domain.errors import ConfigError

    register = open_register()
    before = next((one for one in register.entries() if one.name == plugin), None)
    bundle = find(before.place if before and not Path(plugin).exists() else plugin)
    before = next((one for one in register.entries() if one.name == bundle.name), None)
    if not as_json:
        _show_request(bundle, before, editable=editable)
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise ConfigError(
                "Nobody can be asked here.", next_step="Look at what it asks for, then add --yes."
            )
        typer.confirm("Install it?", abort=True)
    entry = register.approve(bundle, editable=editable)
    if as_json:
        print(show_json(entry.model_dump(mode="json")))
    else:
        print(f"Installed {entry.name}, digest {entry.digest[:12]}.")


def _show_request(bundle: "Bundle", before: "Installed | None", *, editable: bool) -> None:
    manifest = bundle.manifest
    print(f"{manifest.name} {manifest.version}  {manifest.description}".rstrip())
    print(f"from {bundle.place}, digest {bundle.digest[:12]}")
    wanted = manifest.capabilities.sentences()
    known = set(before.capabilities.sentences()) if before else set[str]()
    print("It may only compute." if not wanted else "It asks to:")
    for sentence in wanted:
        print(f"  - {sentence}{'' if before is None or sentence in known else '   (new)'}")
    if before is not None:
        same = before.digest == bundle.digest
        print("Its files are as approved." if same else "Its files have changed since approved.")
    if editable:
        print("Edits will take effect without asking again, as long as it asks for no more.")


def uninstall(name: str = NAME) -> None:
    """Take a plugin out; its files stay where they are."""
    open_register().remove(name)
    print(f"{name} is not installed any more.")


def enable(name: str = NAME) -> None:
    """Offer a plugin's tools again."""
    open_register().enable(name, enabled=True)
    print(f"{name} is enabled.")


def disable(name: str = NAME) -> None:
    """Stop to offer a plugin's tools; it stays installed."""
    open_register().enable(name, enabled=False)
    print(f"{name} is disabled.")


def list_plugins(as_json: bool = JSON_OPTION) -> None:
    """List the installed plugins and how they are doing, and those that could be installed."""
    rows = _rows()
    if as_json:
        print(show_json(rows))
        return
    for row in rows:
        offered = ", ".join([*row["tools"], *row.get("functions", ())])
        print(f"{row['name']:<20} {row['state']:<10} {row['version']:<8} {offered}".rstrip())
        if row["problem"]:
            print(f"{'':20} {row['problem']}")
    if not rows:
        print("No plugins. `host plugins new NAME` writes one to start from.")


def _rows() -> list[dict[str, Any]]:
    """Return the daemon's own list, else what the register says, then what is not installed."""
    from host.domain.errors import HostError
    from host.plugins.bundle import find_bundles, load_bundle

    entries = open_register().entries()
    told: list[dict[str, Any]] = ask_daemon("plugins") or []
    running = {str(one["name"]): one for one in told}
    rows: list[dict[str, Any]] = []
    for entry in entries:
        state = "installed" if entry.enabled else "disabled"
        about = {"name": entry.name, "version": "", "state": state, "problem": ""}
        about |= {"place": entry.place, "editable": entry.editable, "tools": []}
        rows.append(running.get(entry.name) or about)
    seen = {entry.name for entry in entries}
    for folder in plugin_folders():
        for place in find_bundles(folder):
            try:
                manifest = load_bundle(place).manifest
            except HostError as error:
                about = {"name": place.stem, "version": "", "state": "faulty"}
                rows.append({**about, "problem": str(error), "place": str(place), "tools": []})
                continue
            if manifest.name not in seen:
                seen.add(manifest.name)
                about = {"name": manifest.name, "version": manifest.version, "problem": ""}
                rows.append({**about, "state": "available", "place": str(place), "tools": []})
    return rows


def logs(
    name: str = NAME,
    lines: int = typer.Option(50, "--lines", "-n", min=0, help="How many lines to begin with."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on with what is written."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Print what a plugin logged and printed, and how its calls failed."""
    from host.config.paths import user_paths
    from host.domain.errors import NotFoundError
    from host.plugins.log import log_path, read_log

    path = log_path(user_paths().logs, name)
    if not path.is_file():
        known = [entry.name for entry in open_register().entries()]
        where = "`host plugins run` shows what is logged on standard error; this is the daemon's."
        step = f"{name} has written nothing yet: {where}" if name in known else where
        raise NotFoundError("log of a plugin", name, known, next_step=step)
    if as_json:
        print(show_json([asdict(line) for line in read_log(path)[-lines:]]))
    else:
        print_log(path, lines=lines, follow=follow)
