"""`host tokens`: makes, lists and revokes the clients' bearer tokens."""

import datetime as dt
import json
import re
import sys
from typing import cast, get_args

import typer

from host.cli.config import JSON_OPTION
from host.domain.errors import ConfigError
from host.domain.principal import Role

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def register(root: typer.Typer) -> None:
    """Add `host tokens`."""
    group = typer.Typer(no_args_is_help=True, help="Make, list and revoke the clients' tokens.")
    group.command("create")(create)
    group.command("list")(list_tokens)
    group.command("revoke")(revoke)
    root.add_typer(group, name="tokens")


def create(
    name: str = typer.Argument(help="Name of the client that will use it."),
    role: str = typer.Option("user", help="viewer, user, approver or admin."),
    attended: bool = typer.Option(
        False, "--attended", help="A person sits at this client and may be asked there."
    ),
    expires: str | None = typer.Option(None, metavar="30d", help="Lifetime: 90m, 12h, 30d, 8w."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a token and print it, this once."""
    from host.config.paths import user_paths
    from host.identity.tokens import TokenStore

    store = TokenStore(user_paths().tokens)
    lifetime = parse_lifetime(expires) if expires else None
    token = store.create(name, role=parse_role(role), attended=attended, lifetime=lifetime)
    if as_json:
        print(json.dumps({"name": name, "token": token, "role": role, "attended": attended}))
        return
    print(token)
    print("It is not shown again: only its digest is kept.", file=sys.stderr)


def parse_role(text: str) -> Role:
    """Return a role by its name.

    Raises:
        ConfigError: There is no such role.
    """
    if text not in get_args(Role):
        raise ConfigError(
            f"There is no role {text!r}.", next_step=f"Roles are {', '.join(get_args(Role))}."
        )
    return cast("Role", text)


def parse_lifetime(text: str) -> dt.timedelta:
    """Return a length of time written like `90m`, `12h`, `30d` or `8w`.

    Raises:
        ConfigError: It is written otherwise, or longer than a hundred years.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,6})([mhdw])", text)
    if found:
        lifetime = dt.timedelta(**{_UNITS[found[2]]: int(found[1])})
        if lifetime <= dt.timedelta(weeks=5_200):
            return lifetime
    raise ConfigError(
        f"{text!r} is not a lifetime.", next_step="Write it like 90m, 12h, 30d or 8w."
    )


def list_tokens(as_json: bool = JSON_OPTION) -> None:
    """List the tokens: whose they are and when they were last used, never the token itself."""
    from host.config.paths import user_paths
    from host.identity.tokens import TokenStore

    records = TokenStore(user_paths().tokens).records()
    if as_json:
        rows = [one.model_dump(mode="json", exclude={"digest"}) for one in records]
        print(json.dumps(rows, indent=1))
        return
    if not records:
        print("There are no tokens; make one with `host tokens create NAME`.")
        return
    print(f"{'NAME':<20} {'ROLE':<9} {'ATTENDED':<9} {'EXPIRES':<17} LAST USED")
    for one in records:
        attended = "yes" if one.attended else "no"
        end, used = _moment(one.expires), _moment(one.last_used)
        print(f"{one.name:<20} {one.role:<9} {attended:<9} {end:<17} {used}")


def _moment(moment: dt.datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M") if moment else "never"


def revoke(name: str = typer.Argument(help="Name of the token.")) -> None:
    """Make a token invalid at once."""
    from host.config.paths import user_paths
    from host.identity.tokens import TokenStore

    TokenStore(user_paths().tokens).revoke(name)
    print(f"Revoked {name}.")
