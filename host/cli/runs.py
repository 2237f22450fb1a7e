"""`host runs`: what agents did, live or later; reads the store, so that no daemon is needed."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from host.cli.client import show_json
from host.cli.config import JSON_OPTION
from host.cli.store import configured_folder, configured_url
from host.cli.tools import printable
from host.domain.jsonrpc import Json
from host.domain.protocol import object_member

if TYPE_CHECKING:
    from host.domain.principal import Principal
    from host.events.run import Event, Run
    from host.events.runs import Runs

T = TypeVar("T")
RUN = typer.Argument(help="The run's id, or the beginning of it.")
TOLD = ("call", "result", "rejected", "handoff", "approval", "note", "error", "cancelled")
"""Events that are told of in a line each, as a conversation does."""
USER = typer.Option("local", "--user", help="Whose runs; `local` is this daemon's own user.")


def register(root: typer.Typer) -> None:
    """Add `runs`."""
    app = typer.Typer(help="What agents did.", no_args_is_help=True)
    app.command("list")(list_runs)
    for command in (show, follow, export, replay, resume, cancel):
        app.command()(command)
    root.add_typer(app, name="runs")


def list_runs(
    limit: int = typer.Option(20, min=1, max=10_000, help="Most runs."),
    agent: str | None = typer.Option(None, help="Only of this agent."),
    nested: bool = typer.Option(False, "--nested", help="Also runs that other runs started."),
    user: str = USER,
    as_json: bool = JSON_OPTION,
) -> None:
    """Print runs, newest first."""
    found = _with_runs(
        user,
        lambda runs, who: runs.page(who, limit=limit, name=agent, nested=nested),
        agent=agent,
    )
    if as_json:
        print(show_json([run.fields() for run in found]))
        return
    for run in found:
        when = run.started.astimezone().strftime("%Y-%m-%d %H:%M")
        print(f"{run.id}  {when}  {run.status:<11}  {run.name:<12}  {printable(run.title)[:60]}")
    if not found:
        print('No runs. `host run demo "Hello"` makes one.')


def show(run_id: str = RUN, user: str = USER, as_json: bool = JSON_OPTION) -> None:
    """Print a run and all that happened in it."""

    async def work(runs: "Runs", who: "Principal") -> "tuple[Run, list[Event], list[Run]]":
        run = await runs.get(who, run_id)
        return run, await runs.events(who, run.id), await runs.family(who, run.id)

    run, events, family = _with_runs(user, work, run=run_id)
    if as_json:
        body = {
            "run": run.fields(),
            "events": [event.fields() for event in events],
            "started": [one.fields() for one in family],
        }
        print(show_json(body))
        return
    print(_header(run))
    for event in events:
        _print_event(event.fields())
    for one in family:
        print(f"  started {one.id}  {one.name}: {one.status}")


def follow(run_id: str = RUN, user: str = USER, as_json: bool = JSON_OPTION) -> None:
    """Print a run's events as they come, until it ends."""

    async def work(runs: "Runs", who: "Principal") -> "Run":
        run = await runs.get(who, run_id)
        async for event in runs.follow(who, run.id):
            if as_json:
                print(json.dumps(event.fields(), ensure_ascii=False), flush=True)
            else:
                _print_event(event.fields())
        return await runs.get(who, run.id)

    run = _with_runs(user, work, run=run_id)
    if not as_json:
        print(_header(run))


def export(
    run_id: str = RUN,
    file: str = typer.Argument("-", help="A new file; - is standard output."),
    user: str = USER,
) -> None:
    """Write a run and its events as JSON lines, the runs that it started as well."""

    async def work(runs: "Runs", who: "Principal") -> list[Json]:
        run = await runs.get(who, run_id)
        lines: list[Json] = []
        for one in (run, *await runs.family(who, run.id)):
            lines.append({"type": "run", **one.fields()})
            events = await runs.events(who, one.id)
            lines += [{"type": "event", **event.fields()} for event in events]
        return lines

    from host.cli.chat_session import write_new

    lines = [
        json.dumps(line, ensure_ascii=False) + "\n" for line in _with_runs(user, work, run=run_id)
    ]
    if file == "-":
        sys.stdout.writelines(lines)
        return
    write_new(Path(file), "".join(lines))
    print(f"{file}: {len(lines)} lines.")


def replay(run_id: str = RUN, user: str = USER, as_json: bool = JSON_OPTION) -> None:
    """Go through a recorded run again, without calling any model or tool, and compare."""
    from host.agents.replay import replay_run

    async def work(runs: "Runs", who: "Principal") -> Json:
        return (await replay_run(runs, who, run_id)).fields()

    found = _with_runs(user, work, run=run_id)
    if as_json:
        print(show_json(found))
    else:
        print(f"{found['run']}: {found['events']} events, {found['steps']} steps replayed.")
        for line in found["differences"]:
            print(f"  differs: {printable(line)}")
        if not found["differences"]:
            print("The same events in the same order.")
    if found["differences"]:
        raise typer.Exit(1)


def resume(run_id: str = RUN, as_json: bool = JSON_OPTION) -> None:
    """Take up a run that was interrupted, failed or cancelled, and wait for its end."""
    _ask("orchestrator__resume_run", {"run": run_id}, as_json=as_json)


def cancel(run_id: str = RUN, as_json: bool = JSON_OPTION) -> None:
    """End a run that goes on."""
    _ask("orchestrator__cancel_run", {"run": run_id}, as_json=as_json)


def _ask(tool: str, arguments: Json, *, as_json: bool) -> None:
    """Have the daemon do something, and print what it says."""
    from host.cli.agent_client import open_client
    from host.cli.ask import can_ask
    from host.cli.attended import Attended
    from host.cli.run import INTERRUPTED, Printer, text_of

    shown = Printer(quiet=as_json, silent=as_json)

    async def work() -> Json:
        attended = Attended(shown)
        async with open_client(attended.question if can_ask() else None) as client:
            return await attended.call(client, tool, arguments)

    try:
        result = asyncio.run(work())
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nhost: the run was cancelled.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    shown.end()
    failed = result.get("isError") is True
    if as_json:
        print(show_json(object_member(result, "structuredContent") or {"error": text_of(result)}))
    elif failed:
        print(f"host: {printable(text_of(result))}", file=sys.stderr)
    elif tool.endswith("cancel_run"):
        print(printable(text_of(result)))
    if failed:
        raise typer.Exit(1)


def _with_runs(
    user: str, work: "Callable[[Runs, Principal], Awaitable[T]]", **names: str | None
) -> T:
    """Do something with the runs of a user.

    Args:
        user: Whose.
        work: What to do.
        names: What it looks up, as it was given, by the names of the parameters.

    Raises:
        ConfigError: One of them is no text that a name could have.
    """
    from host.agents.argument import name_faults
    from host.domain.errors import ConfigError
    from host.domain.principal import Principal
    from host.events.runs import Runs
    from host.storage.store import open_store

    faults = name_faults({**names, "user": user})
    if faults:
        raise ConfigError(f"The command cannot be called so: {'; '.join(faults)}.")

    async def run() -> T:
        store = await open_store(configured_url(), configured_folder())
        try:
            await store.ready(deadline=None)
            return await work(Runs(store), Principal(user, "cli"))
        finally:
            await store.close()

    return asyncio.run(run())


def _header(run: "Run") -> str:
    used = f"{run.steps} steps, {run.input_tokens}+{run.output_tokens} tokens, ${run.cost:.4f}"
    lines = [f"{run.id}  {run.name} on {run.model}: {run.status}; {used}"]
    if run.error:
        lines.append(f"  {printable(run.error)}")
    return "\n".join(lines)


def _print_event(event: Json) -> None:
    from host.cli.run import describe

    kind, data = event["kind"], object_member(event, "data")
    mark = f"{event['seq']:>4} {str(event['at'])[11:19]}"
    if kind == "started":
        given = data.get("input")
        text = given if isinstance(given, str) else json.dumps(given)
        print(f"{mark}  asked: {printable(text)[:500]}")
    elif kind == "reply":
        parts = object_member(data, "response").get("parts", [])
        for part in parts:
            if part.get("part_kind") == "text" and part.get("content"):
                print(f"{mark}  {data.get('agent')}: {printable(str(part['content']))}")
    elif kind in TOLD:
        if kind in ("error", "cancelled") and data.get("said"):  # what had come by then
            print(f"{mark}  {printable(str(data['said']))} …")
        print(f"{mark}{describe(event)}")
    elif kind == "finished":
        print(f"{mark}  {data.get('status')}")
    else:
        shown = {key: value for key, value in data.items() if value not in (None, "")}
        print(f"{mark}  {kind} {printable(json.dumps(shown, ensure_ascii=False))[:200]}")
