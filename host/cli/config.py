"""`host config`: check host.yaml, show what holds and why, print its schema and its place."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from host.config.load import LoadedSettings
    from host.domain.errors import ConfigError

CONFIG_OPTION = typer.Option(None, "--config", "-c", help="Use this file instead of your own.")
JSON_OPTION = typer.Option(False, "--json", help="Print JSON.")


def register(root: typer.Typer) -> None:
    """Add `host config`."""
    group = typer.Typer(no_args_is_help=True, help="Check, show and find the configuration.")
    group.command("check")(check)
    group.command("show")(show)
    group.command("schema")(schema)
    group.command("path")(path)
    root.add_typer(group, name="config")


def load(config: Path | None) -> "LoadedSettings":
    """Load the settings of this command, and print warnings to standard error."""
    from host.config.load import load_settings

    loaded = load_settings(config, folder=Path.cwd())
    for warning in loaded.warnings:
        print(f"host: warning: {warning}", file=sys.stderr)
    return loaded


def check(
    file: Path | None = typer.Argument(None, help="File to check; your own without it."),
    config: Path | None = CONFIG_OPTION,
    strict: bool = typer.Option(False, "--strict", help="Fail on warnings too."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Check the configuration. Exit status: 0 good, 1 warnings with --strict, 2 faults."""
    from host.cli.bundled import check_bundled
    from host.config.load import load_settings
    from host.domain.errors import ConfigError, InvalidConfigError

    if file is not None and config is not None:
        raise typer.BadParameter("Name one file: as the argument, or with --config.")
    file = file or config
    problems: list[ConfigError] = []
    warnings: tuple[str, ...] = ()
    used: list[str] = []
    try:
        loaded = load_settings(file, folder=None if file else Path.cwd())
        warnings, problems = loaded.warnings, check_bundled(loaded)
        used = [f"{one.file or 'built-in defaults'} ({one.kind})" for one in loaded.sources]
    except InvalidConfigError as error:
        problems = list(error.problems)
    except ConfigError as error:
        problems = [error]
    if as_json:
        faults = [
            {"file": str(p.file or ""), "line": p.line, "field": p.field, "message": _said(p)}
            for p in problems
        ]
        print(json.dumps({"faults": faults, "warnings": warnings, "sources": used}, indent=1))
    else:
        _report(problems, warnings, used)
    if problems:
        raise typer.Exit(2)
    raise typer.Exit(1 if strict and warnings else 0)


def _said(problem: Exception) -> str:
    message, step = getattr(problem, "message", ""), getattr(problem, "next_step", None)
    return f"{message} {step}" if step else str(message)


def _report(problems: list["ConfigError"], warnings: tuple[str, ...], used: list[str]) -> None:
    for problem in problems:
        print(problem)
    for warning in warnings:
        print(f"warning: {warning}")
    if problems:
        print(f"{len(problems)} fault{'s' * (len(problems) != 1)}.")
    else:
        print(f"Good: {', then '.join(used)}.")


def show(
    config: Path | None = CONFIG_OPTION,
    everything: bool = typer.Option(False, "--all", help="Also what nobody set."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what holds, secrets masked, and which file and line set it."""
    from host.config.show import show_settings

    fields = show_settings(load(config), everything=everything)
    if as_json:
        print(json.dumps([asdict(one) for one in fields], indent=1))
        return
    rows = [(one.field, json.dumps(one.value, ensure_ascii=False), one.source) for one in fields]
    width = min(max((len(field) for field, _, _ in rows), default=0), 48)
    for field, value, source in rows:
        print(f"{field:<{width}}  {value}  # {source}")


def schema() -> None:
    """Print the JSON Schema of host.yaml, for editors."""
    from host.config.schema import render_schema

    print(render_schema(), end="")


def path(as_json: bool = JSON_OPTION) -> None:
    """Print where the host keeps what."""
    from host.config.paths import user_paths

    paths = user_paths()
    places = {
        "config": paths.user_config,
        "data": paths.data,
        "runtime": paths.runtime,
        "socket": paths.socket,
    }
    if as_json:
        print(json.dumps({name: str(place) for name, place in places.items()}, indent=1))
        return
    for name, place in places.items():
        print(f"{name:<8}  {place}")
