"""`host tools diff | accept | reject`: what servers say of themselves, looked at and answered."""

import sys
from typing import Any

import typer

from host.cli.config import JSON_OPTION
from host.cli.control import ask_daemon

Row = dict[str, Any]

NAMES = typer.Argument(None, help="Tools, prompts or servers; none means all that wait.")
CHOSEN = typer.Argument(help="Tools, prompts or servers; a server is all that waits of it.")
YES = typer.Option(False, "--yes", "-y", help="Do not ask; a terminal is needed all the same.")


def register(group: typer.Typer) -> None:
    """Add the commands to `host tools`."""
    for command in (diff, accept, reject):
        group.command()(command)


def diff(names: list[str] | None = NAMES, as_json: bool = JSON_OPTION) -> None:
    """Show what changed in definitions, what is new, and what is odd about it."""
    from host.cli.client import show_json

    rows = _rows(names or [])
    if as_json:
        print(show_json(rows))
        return
    for row in rows:
        _print_row(row)
    if not rows:
        print("Nothing waits: every definition is as it was accepted.")


def accept(names: list[str] = CHOSEN, yes: bool = YES) -> None:
    """Accept definitions as they are now, after a look at them."""
    _answer("accept", names, yes=yes)


def reject(names: list[str] = CHOSEN, yes: bool = YES) -> None:
    """Hold definitions back for good, also such as were accepted; accept undoes it."""
    _answer("reject", names, yes=yes)


def pin_of(name: str) -> Row | None:
    """Return what is pinned of a tool, None if nothing is."""
    from host.domain.errors import DaemonError

    try:
        found: list[Row] | None = ask_daemon("pins.list", {"names": [name]})
    except DaemonError:
        return None
    return next((row for row in found or [] if row["shown"] == name), None)


def print_findings(row: Row) -> None:
    """Print what is odd about a definition."""
    for finding in row["findings"]:
        said = f": {finding['quote']!r}" if finding["quote"] else ""
        place = f" ({finding['where']})" if finding["where"] else ""
        print(f"  {finding['severity']}: {finding['detail']}{place}{said}.")
    if row["same_names"]:
        print(f"  note: other servers have a tool of this name: {', '.join(row['same_names'])}.")


def _answer(verb: str, names: list[str], *, yes: bool) -> None:
    rows = [row for row in _rows(names) if verb == "reject" or row["standing"] != "accepted"]
    rows = [row for row in rows if row["digest"] is not None and row["gone"] is None]
    if not rows:
        print(f"There is nothing to {verb}.")
        return
    _need_terminal(verb)
    for row in rows:
        _print_row(row)
    if not yes and not typer.confirm(f"{verb.capitalize()} {len(rows)} as shown?"):
        raise typer.Exit(1)
    choices = [{name: row[name] for name in ("server", "key", "digest")} for row in rows]
    done = ask_daemon(f"pins.{verb}", {"choices": choices})
    print(f"{verb.capitalize()}ed: {', '.join(done)}.")


def _need_terminal(verb: str) -> None:
    """Refuse without a terminal: an agent that runs commands must not answer for its user.

    Raises:
        AccessError: There is none.
    """
    from host.domain.errors import AccessError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise AccessError(
            f"`host tools {verb}` needs a terminal, so that a person answers.",
            next_step="Run it in a terminal of your own.",
        )


def _rows(names: list[str]) -> list[Row]:
    """Return the pins of some names, after every server was asked what it lists now."""
    from host.cli.client import HostClient

    with HostClient() as client:
        client.request("tools/list")
        client.request("prompts/list")
    return ask_daemon("pins.list", {"names": names}) or []


def _print_row(row: Row) -> None:
    from host.pins.difference import render_difference

    said = {"new": "is new", "changed": "has changed", "rejected": "was rejected"}
    state = said.get(row["standing"], f"accepted {row['accepted_at']} ({row['accepted_by']})")
    print(f"{row['shown']}  {row['kind']} of {row['server']}: {state}")
    if row["reason"]:
        print(f"  waits because {row['reason']}")
    if row["gone"]:
        print(f"  not listed by its server since {row['gone']}")
    print_findings(row)
    before, after = row["accepted"], row["offered"] or row["accepted"]
    if before is after:
        before = None
    old = None if before is None else before["definition"]
    for line in render_difference(old, None if after is None else after["definition"]):
        print(f"  {line}")
    if row["digest"]:
        print(f"  sha256 {row['digest']}\n")
