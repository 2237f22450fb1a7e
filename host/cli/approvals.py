"""`host approvals`: see what waits for a yes, and answer it."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import typer

from host.cli.config import JSON_OPTION
from host.domain.errors import AccessError, ConfigError, DaemonError
from host.domain.jsonrpc import Json, as_object


def register(root: typer.Typer) -> None:
    """Add `host approvals`."""
    group = typer.Typer(no_args_is_help=True, help="See what waits for a yes, and answer it.")
    group.command("list")(list_approvals)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("deny")(deny)
    group.command("watch")(watch)
    group.command("passphrase")(passphrase)
    root.add_typer(group, name="approvals")


def list_approvals(
    every: bool = typer.Option(False, "--all", help="The last 200, however they ended."),
    as_json: bool = JSON_OPTION,
) -> None:
    """List the calls that wait for a yes."""
    found: list[Json] = ask("approvals.list", {"every": every})
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for one in found:
        print(summary(one))
    if not found:
        print("Nothing waits.")


def show(
    approval_id: str = typer.Argument(metavar="ID", help="Such as a-7k3f9q2m."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show an approval: who wants what, why it is asked about, and the whole arguments."""
    found: Json = ask("approvals.show", {"id": approval_id})
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=True))
        return
    print("\n".join(page(found)))


def approve(  # noqa: PLR0913, PLR0917 - each is an option of the command
    approval_id: str = typer.Argument(metavar="ID", help="Such as a-7k3f9q2m."),
    reason: str | None = typer.Option(None, help="For the record."),
    edit: str | None = typer.Option(
        None, metavar="FILE", help="Send these arguments instead: a JSON file; - reads stdin."
    ),
    digest: str | None = typer.Option(
        None, help="The beginning of the digest that was shown; another call is refused."
    ),
    grant: str | None = typer.Option(
        None, metavar="SCOPE", help="Remember it for this session, agent, or always."
    ),
    exact: bool = typer.Option(False, help="Grant exactly these arguments only."),
    where: str | None = typer.Option(
        None, metavar="JSON", help="Grant arguments that match, as in a rule's `arguments:`."
    ),
    expires: str | None = typer.Option(None, metavar="30m", help="The grant's lifetime."),
    count: int | None = typer.Option(None, help="Most calls that the grant lets through."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Ask nothing; only beside --digest."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show a call and approve it; its caller goes on, or makes the same call again."""
    need_terminal()
    if yes and digest is None:
        raise AccessError(
            "--yes approves without a question, so --digest has to say what you have seen.",
            next_step=f"`host approvals show {approval_id}` prints it.",
        )
    seen = as_object(ask("approvals.show", {"id": approval_id})) or {}
    check_digest(seen, digest)
    terms = read_terms(grant, exact=exact, where=where, expires=expires, count=count)
    answer: Json = {"id": approval_id, "approve": True, "reason": reason, "digest": seen["digest"]}
    if edit is not None:
        answer["arguments"] = read_arguments(edit)
    if terms is not None:
        answer["grant"] = terms
    if not yes and not confirm(seen, answer):
        print("Nothing was answered.", file=sys.stderr)
        raise typer.Exit(1)
    _answered(send_answer(answer), as_json=as_json)


def deny(
    approval_id: str = typer.Argument(metavar="ID", help="Such as a-7k3f9q2m."),
    reason: str | None = typer.Option(None, help="What the caller is told."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Deny a call."""
    seen = as_object(ask("approvals.show", {"id": approval_id})) or {}
    answer = {"id": approval_id, "approve": False, "reason": reason, "digest": seen["digest"]}
    _answered(send_answer(answer), as_json=as_json)


def watch() -> None:
    """Wait for calls that need a yes, and answer each with one key."""
    from host.cli.watch import run_watch

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise AccessError(
            "Watching needs a terminal.",
            next_step="`host approvals list` and `host approvals approve` work without one.",
        )
    run_watch()


def passphrase() -> None:
    """Set the passphrase that every answer from a terminal needs; an empty one removes it."""
    from getpass import getpass

    need_terminal()
    guarded = ask("approvals.guarded", {})["passphrase"]
    current = getpass("Passphrase so far: ") if guarded else None
    first = getpass("New passphrase (empty removes it): ")
    if first != getpass("Once more: "):
        raise ConfigError("The two are not the same.", next_step="Try again.")
    ask("approvals.passphrase", {"current": current, "new": first})
    print("The passphrase is set." if first else "No passphrase is asked for any more.")


def ask(method: str, params: Json) -> Any:  # noqa: ANN401 - any JSON
    """Return the daemon's answer to a command; it is started where none runs.

    Raises:
        DaemonError: It refused, or cannot be started.
    """
    from host.cli.client import HostClient
    from host.cli.control import ask_daemon

    found = ask_daemon(method, params)
    if found is None:
        with HostClient():
            found = ask_daemon(method, params)
    if found is None:
        raise DaemonError("The daemon ended at once.", next_step="See `host logs`.")
    return found


def send_answer(answer: Json) -> Json:
    """Give an answer, with the passphrase where one is set; return the approval as it is then."""
    from getpass import getpass

    if ask("approvals.guarded", {})["passphrase"] and "passphrase" not in answer:
        need_terminal()
        answer = {**answer, "passphrase": getpass("Passphrase: ")}
    return as_object(ask("approvals.answer", answer)) or {}


def need_terminal() -> None:
    """Raise AccessError where this process has no controlling terminal.

    The daemon looks for itself; here it is said before anything is typed.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise AccessError(
            "Approving needs a person at a terminal, and this process has none.",
            next_step="Run it in a terminal.",
        ) from None


def confirm(seen: Json, answer: Json) -> bool:
    """Show what is to be approved, and return whether the person at the terminal says yes.

    It is read from the terminal itself: what is piped into the command is nobody's word.
    """
    from host.approvals.text import escape, show_difference

    lines = page(seen)
    if "arguments" in answer:
        lines += [
            "sent instead:",
            *show_difference(seen.get("arguments") or {}, answer["arguments"]),
        ]
    if "grant" in answer:
        lines.append(f"granted: {escape(json.dumps(answer['grant']))}")
    with open("/dev/tty", "w", encoding="utf-8", errors="replace") as screen:  # noqa: PTH123 - a device
        print("\n".join([*lines, "Approve? [y/N] "]), end="", file=screen, flush=True)
    with open("/dev/tty", encoding="utf-8", errors="replace") as keyboard:  # noqa: PTH123 - a device
        return keyboard.readline().strip().lower() in ("y", "yes")


def check_digest(seen: Json, digest: str | None) -> None:
    """Raise AccessError where an approval is about another call than the one that was seen."""
    if digest is not None and (len(digest) < 8 or not str(seen["digest"]).startswith(digest)):
        raise AccessError(
            f"{seen['id']} has the digest {seen['digest']}, not {digest}.",
            next_step="Look at it again with `host approvals show`.",
        )


def read_arguments(file: str) -> Json:
    """Return edited arguments.

    Raises:
        ConfigError: They cannot be read, or are no JSON object.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        found = as_object(json.loads(text))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The edited arguments cannot be read: {error}.", file=file) from error
    if found is None:
        raise ConfigError("The edited arguments have to be a JSON object.", file=file)
    return found


def read_terms(
    scope: str | None,
    *,
    exact: bool,
    where: str | None,
    expires: str | None,
    count: int | None,
) -> Json | None:
    """Return a grant's terms from the options; None where nothing is to be granted.

    Raises:
        ConfigError: An option says nothing, or means nothing without --grant.
    """
    from host.cli.tokens import parse_lifetime

    if scope is None:
        if exact or where is not None or expires is not None or count is not None:
            raise ConfigError("Only a grant has such limits.", next_step="Add --grant SCOPE.")
        return None
    try:
        matchers = None if where is None else json.loads(where)
    except ValueError as error:
        raise ConfigError(f"--where is not JSON: {error}.") from error
    if where is not None and as_object(matchers) is None:
        raise ConfigError('--where is an object such as {"/path": {"path": {"inside": "~/x"}}}.')
    return {
        "scope": scope,
        "exact": exact,
        "matchers": matchers,
        "expires": None if expires is None else parse_lifetime(expires).total_seconds(),
        "most": count,
    }


def summary(one: Json) -> str:
    """Return one line about an approval."""
    from host.approvals.text import escape

    reasons = "; ".join(escape(str(reason)) for reason in one["reasons"])
    who, what = escape(str(one["caller"])), escape(str(one["name"]))
    state = one["outcome"] if one["state"] == "consumed" and one["outcome"] else one["state"]
    return f"{one['id']}  {state:<10}  {who:<16}  {what}  {reasons}"


def page(one: Json) -> list[str]:
    """Return all that there is to know about an approval."""
    from host.approvals.text import approval_lines, escape

    lines = [f"{one['id']}  {one['state']}  digest {str(one['digest'])[:12]}"]
    if one.get("arguments") is None:
        body = approval_lines(one, {})
        lines += body[: body.index("arguments:")]
        lines.append("Its arguments are no longer kept; `host audit` has those that were sent.")
    else:
        lines += approval_lines(one, one["arguments"])
    if one["edited_digest"]:
        lines.append(
            f"It was edited: `host audit search {one['id']} --outcome note` has both versions."
        )
    if one["approver"]:
        lines.append(f"{one['state']} by {escape(one['approver'])} ({one['channel']})")
    if one["reason"]:
        lines.append(f"reason: {escape(str(one['reason']))}")
    if one["state"] == "pending":
        lines.append(f"expires {one['expires']}")
    return lines


def _answered(found: Json, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    print(f"{found['id']} is {found['state']}.")
