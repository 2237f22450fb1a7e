"""`host audit`: look at, search, check and export the record, with the daemon running or not."""

import json
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import anyio
import typer

if TYPE_CHECKING:
    from host.audit.call import Call, CallFilter
    from host.audit.note import RecordedNote
    from host.audit.retention import Dropped
    from host.audit.trail import Trail
    from host.audit.verify import Verification

FILTERS = {
    "since": "30m, 12h, 7d, or an ISO 8601 time.",
    "until": "Only before this; like --since.",
    "user": "Only calls of this user.",
    "client": "Only calls of this client.",
    "server": "Only calls to this server.",
    "tool": "Only calls of this tool, with or without its server.",
    "label": "Only calls with this label, such as sends.",
    "outcome": "ok, tool_error, error, denied, pending, cancelled, timeout, unknown, running; note "
    "is what was done to the host itself.",
}
"""Options that narrow a listing, and what they say of themselves."""
AS_JSON = typer.Option(False, "--json", help="Print JSON, one call a line.")

_WIDTHS = "{:<13} {:<19} {:<11} {:<16} {:<40} {:>9}"


def register(root: typer.Typer) -> None:
    """Add `audit` and what is under it."""
    app = typer.Typer(help="The record of every call.", no_args_is_help=True)
    for command in (tail, show, search, verify, export, prune, key):
        app.command()(command)
    root.add_typer(app, name="audit")


def narrowed(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the options that narrow a listing, in place of its `wanted`."""
    own = [one for one in signature(command).parameters.values() if one.name != "wanted"]
    further = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=typer.Option(None, f"--{name}", help=text),
            annotation=str | None,
        )
        for name, text in FILTERS.items()
    ]

    def run(**given: Any) -> None:  # noqa: ANN401  values of options
        wanted = _filter(**{name: given.pop(name) for name in FILTERS})
        command(**given, wanted=wanted)

    parameters = [*(one.replace(kind=Parameter.KEYWORD_ONLY) for one in own), *further]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__signature__ = Signature(parameters)  # read by Typer
    return run


@narrowed
def tail(
    lines: int = typer.Option(20, "-n", "--lines", min=0, help="How many calls to begin with."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on as calls end."),
    as_json: bool = AS_JSON,
    *,
    wanted: "CallFilter",
) -> None:
    """Show the latest calls and acts, and new ones as they end."""
    from host.audit.trail import Follower
    from host.cli.store import configured_folder

    async def run() -> None:
        follower = Follower(configured_folder() / "journal")
        shown: dict[str, str] = {}
        async with open_trail() as trail:
            for entry in await _latest(trail, wanted, most=lines) if lines else []:
                shown[entry.id] = getattr(entry, "state", "note")
                _print_entry(entry, as_json=as_json)
        if follow:
            async for entry in follower.calls(wanted, shown=shown):
                _print_entry(entry, as_json=as_json)

    try:
        anyio.run(run)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def show(
    call_id: str = typer.Argument(metavar="ID", help="The id of a call, or its beginning."),
    as_json: bool = AS_JSON,
) -> None:
    """Show all that is recorded of one call, or of one act."""
    from host.audit.note import NOTE_ID

    async def run() -> None:
        async with open_trail() as trail:
            is_note = NOTE_ID.fullmatch(call_id) is not None
            found = await (trail.get_note(call_id) if is_note else trail.get(call_id))
        call = found.as_json()
        if as_json:
            print(json.dumps(call))
            return
        for name, value in call.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            print(f"{name:<14} {text}")

    anyio.run(run)


@narrowed
def search(
    text: str | None = typer.Argument(None, help="Found anywhere in arguments, result or names."),
    most: int = typer.Option(100, "--limit", min=1, help="How many calls at most."),
    as_json: bool = AS_JSON,
    *,
    wanted: "CallFilter",
) -> None:
    """List the calls and acts that match, oldest first."""
    wanted = replace(wanted, text=text)

    async def run() -> None:
        async with open_trail() as trail:
            for entry in await _latest(trail, wanted, most=most):
                _print_entry(entry, as_json=as_json)

    anyio.run(run)


def verify(
    file: Path | None = typer.Argument(None, help="What `export --chain` wrote; else the record."),
    key: str | None = typer.Option(None, "--key", help="Who has to have signed the file."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Check that no line of the record was altered, removed, reordered or rewritten."""
    outcome = _verify_file(file, key) if file is not None else anyio.run(_verify_record)
    if as_json:
        print(json.dumps(asdict(outcome)))
    else:
        _print_verification(outcome, file)
    if outcome.findings:
        raise typer.Exit(1)


async def _verify_record() -> "Verification":
    from host.audit.checkpoint import Checkpoints
    from host.audit.trail import LOCAL_ADMIN
    from host.audit.verify import verify_record

    async with open_trail(journal_alone=False) as trail:
        return await verify_record(
            trail.folder,
            trail.store,
            principal=LOCAL_ADMIN,
            checkpoints=Checkpoints(trail.folder.parent),
        )


def _verify_file(file: Path, key: str | None) -> "Verification":
    from host.audit.portable import verify_export
    from host.domain.errors import ConfigError

    try:
        with file.open(encoding="utf-8") as lines:
            return verify_export(lines, key=key)
    except (OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as an export of the record: {error}.") from error


def _print_verification(outcome: "Verification", file: Path | None) -> None:
    for each in outcome.findings:
        call = f" (call {each.call_id})" if each.call_id else ""
        print(f"{each.kind}: line {each.sequence} of {each.writer}{call}: {each.detail}")
    verdict = f"{len(outcome.findings)} faults" if outcome.findings else "intact"
    print(f"{outcome.lines} lines of {outcome.writers} writers: {verdict}.")
    if outcome.dropped:
        print(f"{outcome.dropped} older lines were dropped by retention, as signed anchors say.")
    whose = "the file names it: compare it" if file is not None else "of this machine"
    print(f"Signed heads of {outcome.signed} writers, key {outcome.key} ({whose}).")


def key() -> None:
    """Print the public key with which this machine signs the record."""
    from host.audit.checkpoint import KEY_FILE
    from host.audit.signing import MarkSigner
    from host.cli.store import configured_folder

    print(MarkSigner.load(configured_folder() / KEY_FILE).public)


def prune(
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would go, drop nothing."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Drop the records that `audit.keep_days` and `audit.keep_megabytes` do not keep."""
    from host.audit.checkpoint import Checkpoints
    from host.audit.retention import drop_old_records
    from host.config.load import load_settings

    config = load_settings().settings.audit

    async def run() -> "list[Dropped]":
        async with open_trail(journal_alone=False) as trail:
            data = trail.folder.parent
            assert trail.store is not None  # noqa: S101  or open_trail had raised
            return await drop_old_records(
                trail.store, data, config, checkpoints=Checkpoints(data), dry_run=dry_run
            )

    dropped = anyio.run(run)
    if as_json:
        print(json.dumps([asdict(each) for each in dropped]))
        return
    if config.keep_days is None and config.keep_megabytes is None:
        print("Everything is kept: neither audit.keep_days nor audit.keep_megabytes is set.")
        return
    lines = sum(each.lines for each in dropped)
    verb = "would be dropped" if dry_run else "were dropped"
    print(f"{lines} lines of {len(dropped)} writers {verb}.")


@narrowed
def export(
    file: Path | None = typer.Option(None, "--output", "-o", help="A new file; else the output."),
    chain: bool = typer.Option(False, "--chain", help="Lines with their chain and signature."),
    *,
    wanted: "CallFilter",
) -> None:
    """Write calls as JSON lines, oldest first; with --chain the record itself, to be verified."""
    from host.audit.call import CallFilter

    if chain and wanted != CallFilter(since=wanted.since, until=wanted.until):
        raise typer.BadParameter("--chain takes --since and --until only: a chain has no gaps.")

    async def run() -> None:
        if chain:
            await _export_chain(file, wanted.since, wanted.until)
            return
        async with open_trail() as trail:
            calls = await trail.find(wanted, most=2**31)
        with _new_file(file) as out:
            out.writelines(json.dumps(call.as_json()) + "\n" for call in calls)
        if file is not None:
            print(f"{len(calls)} calls in {file}", file=sys.stderr)

    try:
        anyio.run(run)
    except FileExistsError:
        from host.domain.errors import ConfigError

        raise ConfigError(
            f"{file} exists.", next_step="Name a new file; an export overwrites nothing."
        ) from None


async def _export_chain(file: Path | None, since: datetime | None, until: datetime | None) -> None:
    from host.audit.checkpoint import Checkpoints
    from host.audit.portable import Span, export_chain

    async with open_trail(journal_alone=False) as trail:
        assert trail.store is not None  # noqa: S101  or open_trail had raised
        signed = Checkpoints(trail.folder.parent)
        count = 0
        with _new_file(file) as out:
            async for line in export_chain(trail.folder, trail.store, signed, Span(since, until)):
                out.write(line)
                count += 1
    if file is not None:
        print(f"{count} lines in {file}, signed by {signed.signer.public}", file=sys.stderr)


@contextmanager
def _new_file(file: Path | None) -> "Generator[TextIO]":
    """Yield a new file, or the standard output."""
    if file is None:
        yield sys.stdout
        return
    with file.open("x", encoding="utf-8") as out:
        yield out


def _filter(since: str | None, until: str | None, **wanted: str | None) -> "CallFilter":
    from host.audit.call import CallFilter

    return CallFilter(since=_moment(since), until=_moment(until), **wanted)


def _moment(text: str | None) -> datetime | None:
    from host.audit.call import parse_since

    return None if text is None else parse_since(text, now=datetime.now(UTC))


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


async def _latest(
    trail: "Trail", wanted: "CallFilter", *, most: int
) -> "list[Call | RecordedNote]":
    """Return the latest calls and notes that are wanted, oldest first."""
    calls, notes = await trail.find(wanted, most=most), await trail.find_notes(wanted, most=most)
    return sorted([*calls, *notes], key=lambda entry: entry.at)[-most:]


def _print_entry(entry: "Call | RecordedNote", *, as_json: bool) -> None:
    from host.audit.note import RecordedNote

    if as_json:
        print(json.dumps(entry.as_json()), flush=True)
        return
    moment = entry.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(entry, RecordedNote):
        client = str(entry.fields.get("client", ""))
        what = f"{entry.name} {entry.about}".rstrip()
        row = _WIDTHS.format(entry.id, moment, "note", client[:16], what[:80], "")
    else:
        duration = (entry.outcome or {}).get("duration")
        took = "" if duration is None else f"{duration / 1000:.1f} ms"
        client = str(entry.intent.get("client", ""))
        row = _WIDTHS.format(entry.id[:13], moment, entry.state, client[:16], entry.name[:40], took)
    print("".join(c if c.isprintable() else "�" for c in row).rstrip(), flush=True)
