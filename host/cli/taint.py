"""`host taint`: what each client and run has met, and a person's word that it begins anew."""

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from host.cli.config import JSON_OPTION
from host.cli.control import ask_daemon
from host.domain.errors import AccessError, NotFoundError

if TYPE_CHECKING:
    from host.taint.store import Met, TaintStore


def register(root: typer.Typer) -> None:
    """Add `host taint`."""
    group = typer.Typer(no_args_is_help=True, help="What sessions have met, and clearing it.")
    group.command("show")(show)
    group.command("clear")(clear)
    root.add_typer(group, name="taint")


def show(
    who: str | None = typer.Argument(None, help="Only of this principal, such as local/cursor."),
    as_json: bool = JSON_OPTION,
) -> None:
    """List which labels each client has met, and which tool brought them first."""
    found = [met for met in _store().listed() if who in (None, met.who)]
    if as_json:
        print(json.dumps([_as_json(met) for met in found]))
    elif not found:
        print("Nobody has met anything." if who is None else f"{who} has met nothing.")
    else:
        _print_table(found)


def clear(
    who: str | None = typer.Argument(None, help="The principal, such as local/cursor."),
    everyone: bool = typer.Option(False, "--all", help="Everybody; also when nothing can be read."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Let a client begin anew, as when its conversation is over; a person says so at a terminal."""
    if (who is None) is not everyone:
        raise typer.BadParameter("Give either a principal or --all.")
    if not sys.stdin.isatty():
        raise AccessError(
            "What was met is cleared by a person only.", next_step="Run this at a terminal."
        )
    cleared = ask_daemon("taint.clear", {"who": who})
    if cleared is None:
        cleared = _clear_alone(who)
    if as_json:
        print(json.dumps(cleared))
        return
    for name, labels in cleared.items():
        print(f"{name} begins anew; it had met {', '.join(labels)}.")
    if not cleared:
        print("Nobody had met anything.")


def _store() -> "TaintStore":
    from host.config.paths import user_paths
    from host.taint.store import TAINT_FILE, TaintStore

    return TaintStore(user_paths().data / TAINT_FILE)


def _clear_alone(who: str | None) -> dict[str, list[str]]:
    """Clear while no daemon runs; the file itself says who did it."""
    from host.config.paths import user_paths
    from host.taint.store import TAINT_FILE, start_over

    if who is None:
        return start_over(user_paths().data / TAINT_FILE)
    store = _store()
    labels = store.clear(who, by="local/terminal")
    if not labels:
        raise NotFoundError("principal that has met anything", who, store.principals())
    return {who: sorted(labels)}


def _as_json(met: "Met") -> dict[str, Any]:
    return {"who": met.who, "label": met.label, "source": met.source, "at": _time(met).isoformat()}


def _time(met: "Met") -> datetime:
    return datetime.fromtimestamp(met.at / 1_000_000, UTC)


def _print_table(found: Iterable["Met"]) -> None:
    print(f"{'who':<24} {'label':<12} {'since':<17} brought by")
    for met in found:
        print(f"{met.who:<24} {met.label:<12} {_time(met):%Y-%m-%d %H:%M}  {met.source}")
