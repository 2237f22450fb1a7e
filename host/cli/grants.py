"""`host grants`: approvals that are remembered, and how to take them back."""

import json

import typer

from host.cli.approvals import ask
from host.cli.config import JSON_OPTION
from host.domain.jsonrpc import Json


def register(root: typer.Typer) -> None:
    """Add `host grants`."""
    group = typer.Typer(no_args_is_help=True, help="List and revoke remembered approvals.")
    group.command("list")(list_grants)
    group.command("revoke")(revoke)
    root.add_typer(group, name="grants")


def list_grants(
    every: bool = typer.Option(False, "--all", help="Those that do not hold any more as well."),
    as_json: bool = JSON_OPTION,
) -> None:
    """List the grants that hold."""
    found: list[Json] = ask("grants.list", {"every": every})
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for one in found:
        print(describe(one))
    if not found:
        print("No grants.")


def revoke(
    grant_id: str = typer.Argument(metavar="ID", help="Such as g-7k3f9q2m."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Take a grant back, at once."""
    found: Json = ask("grants.revoke", {"id": grant_id})
    print(json.dumps(found, indent=2) if as_json else f"{found['id']} is revoked.")


def describe(one: Json) -> str:
    """Return one line about a grant."""
    from host.approvals.text import escape

    whom = {"session": "one session", "agent": f"agent {one['agent']}", "always": "always"}
    what = "any arguments"
    if one["arguments"]:
        what = f"exact arguments {one['arguments'][:12]}"
    elif one["matchers"]:
        what = escape(json.dumps(one["matchers"]))
    used = f"{one['used']}" if one["most"] is None else f"{one['used']} of {one['most']}"
    until = f"until {one['expires']}" if one["expires"] else "no expiry"
    caller = escape(f"{one['user']}/{one['client']}")
    name = escape(str(one["name"]))
    revoked = "  revoked" if one["revoked"] else ""
    how = f"{whom[one['scope']]}, {what}, used {used}, {until}{revoked}"
    return f"{one['id']}  {caller}  {name}  {how}"
