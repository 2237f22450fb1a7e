"""`host audit`: look at, search, check and export the record, with the daemon running or not."""

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import typer

if TYPE_CHECKING:
    from host.audit.call import Call, CallFilter
    from host.audit.trail import Trail

SINCE = typer.Option(None, "--since", help="30m, 12h, 7d, or an ISO 8601 time.")
SERVER = typer.Option(None, "--server", help="Only calls to this server.")
TOOL = typer.Option(None, "--tool", help="Only calls of this tool, with or without its server.")
CLIENT = typer.Option(None, "--client", help="Only calls of this client.")
OUTCOME = typer.Option(
    None, "--outcome", help="ok, tool_error, error, denied, cancelled, timeout, unknown, running."
)
AS_JSON = typer.Option(False, "--json", help="Print JSON, one call a line.")

_WIDTHS = "{:<13} {:<19} {:<11} {:<16} {:<40} {:>9}"


def register(root: typer.Typer) -> None:
    """Add `audit` and what is under it."""
    app = typer.Typer(help="The record of every call.", no_args_is_help=True)
    for command in (tail, show, search, verify, export):
        app.command()(command)
    root.add_typer(app, name="audit")


def tail(  # noqa: PLR0913, PLR0917  each is an option of the command line
    lines: int = typer.Option(20, "-n", "--lines", min=0, help="How many calls to begin with."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on as calls end."),
    since: str | None = SINCE,
    server: str | None = SERVER,
    tool: str | None = TOOL,
    client: str | None = CLIENT,
    outcome: str | None = OUTCOME,
    as_json: bool = AS_JSON,
) -> None:
    """Show the latest calls, and new ones as they end."""
    from host.audit.trail import Follower
    from host.cli.store import configured_folder

    wanted = _filter(since, server, tool, client, outcome)

    async def run() -> None:
        follower = Follower(configured_folder() / "journal")
        shown: dict[str, str] = {}
        async with open_trail() as trail:
            for call in await trail.find(wanted, most=lines) if lines else []:
                shown[call.id] = call.state
                _print_call(call, as_json=as_json)
        if follow:
            async for call in follower.calls(wanted, shown=shown):
                _print_call(call, as_json=as_json)

    try:
        anyio.run(run)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def show(
    call_id: str = typer.Argument(help="The call's id, or its beginning."),
    as_json: bool = AS_JSON,
) -> None:
    """Show all that is recorded of one call."""

    async def run() -> None:
        async with open_trail() as trail:
            call = (await trail.get(call_id)).as_json()
        if as_json:
            print(json.dumps(call))
            return
        for name, value in call.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            print(f"{name:<14} {text}")

    anyio.run(run)


def search(  # noqa: PLR0913, PLR0917  each is an option of the command line
    text: str | None = typer.Argument(None, help="Found anywhere in arguments, result or names."),
    most: int = typer.Option(100, "--limit", min=1, help="How many calls at most."),
    since: str | None = SINCE,
    server: str | None = SERVER,
    tool: str | None = TOOL,
    client: str | None = CLIENT,
    outcome: str | None = OUTCOME,
    as_json: bool = AS_JSON,
) -> None:
    """List the calls that match, oldest first."""
    wanted = _filter(since, server, tool, client, outcome, text=text)

    async def run() -> None:
        async with open_trail() as trail:
            for call in await trail.find(wanted, most=most):
                _print_call(call, as_json=as_json)

    anyio.run(run)


def verify(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Check that no line of the record was altered, removed or reordered."""
    from host.audit.trail import LOCAL_ADMIN
    from host.audit.verify import verify_record

    async def run() -> int:
        async with open_trail(journal_alone=False) as trail:
            outcome = await verify_record(trail.folder, trail.store, principal=LOCAL_ADMIN)
        if as_json:
            print(json.dumps(asdict(outcome)))
        else:
            for each in outcome.findings:
                call = f" (call {each.call_id})" if each.call_id else ""
                print(f"{each.kind}: line {each.sequence} of {each.writer}{call}: {each.detail}")
            verdict = f"{len(outcome.findings)} faults" if outcome.findings else "intact"
            print(f"{outcome.lines} lines of {outcome.writers} writers: {verdict}.")
        return 1 if outcome.findings else 0

    status = anyio.run(run)
    if status:
        raise typer.Exit(status)


def export(
    file: Path | None = typer.Option(None, "--output", "-o", help="A new file; else the output."),
    since: str | None = SINCE,
    server: str | None = SERVER,
    tool: str | None = TOOL,
    client: str | None = CLIENT,
    outcome: str | None = OUTCOME,
) -> None:
    """Write calls as JSON lines, oldest first."""
    wanted = _filter(since, server, tool, client, outcome)

    async def run() -> None:
        async with open_trail() as trail:
            calls = await trail.find(wanted, most=2**31)
        if file is None:
            for call in calls:
                _print_call(call, as_json=True)
            return
        with file.open("x", encoding="utf-8") as out:
            out.writelines(json.dumps(call.as_json()) + "\n" for call in calls)
        print(f"{len(calls)} calls in {file}", file=sys.stderr)

    try:
        anyio.run(run)
    except FileExistsError:
        from host.domain.errors import ConfigError

        raise ConfigError(
            f"{file} exists.", next_step="Name a new file; an export overwrites nothing."
        ) from None


def _filter(
    since: str | None,
    server: str | None,
    tool: str | None,
    client: str | None,
    outcome: str | None,
    *,
    text: str | None = None,
) -> "CallFilter":
    from host.audit.call import CallFilter, parse_since

    moment = None if since is None else parse_since(since, now=datetime.now(UTC))
    return CallFilter(
        since=moment, server=server, tool=tool, client=client, outcome=outcome, text=text
    )


@asynccontextmanager
async def open_trail(*, journal_alone: bool = True) -> "AsyncGenerator[Trail]":
    """Yield the record; without the store, and saying so, when that cannot be reached."""
    from host.audit.trail import Trail, try_store
    from host.cli.store import configured_folder, configured_store

    store = await configured_store()
    try:
        problem = await try_store(store, deadline=60)
        if problem is not None:
            if not journal_alone:
                raise problem
            print(f"host: only the journal is shown. {problem}", file=sys.stderr)
        yield Trail(configured_folder() / "journal", None if problem else store)
    finally:
        await store.close()


def _print_call(call: "Call", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(call.as_json()), flush=True)
        return
    duration = (call.outcome or {}).get("duration")
    took = "" if duration is None else f"{duration / 1000:.1f} ms"
    moment = call.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    client = str(call.intent.get("client", ""))
    row = _WIDTHS.format(call.id[:13], moment, call.state, client[:16], call.name[:40], took)
    print("".join(c if c.isprintable() else "�" for c in row).rstrip(), flush=True)
