"""`host memory`: search, list, add, forget, export, import, count and reindex one's memory."""

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from host.cli.store import configured_folder, configured_url

if TYPE_CHECKING:
    from host.memory.config import MemoryConfig
    from host.memory.memory import Memory
    from host.memory.record import Hit, Record

T = TypeVar("T")
AS_JSON = typer.Option(False, "--json", help="Print JSON.")
USER = typer.Option("local", "--user", help="Whose memory; `local` is this daemon's own user.")
LIMIT = typer.Option(20, "--limit", min=1, max=1000, help="Most memories.")
EVERYTHING = typer.Option(True, "--all/--user-scope", help="Also of agents and sessions.")


def register(root: typer.Typer) -> None:
    """Add `memory`."""
    app = typer.Typer(help="What agents remember.", no_args_is_help=True)
    for command in (search, add, forget, restore, export, stats, reindex):
        app.command()(command)
    app.command("list")(list_)
    app.command("import")(import_)
    root.add_typer(app, name="memory")


def search(
    query: str = typer.Argument(help="Words or a question."),
    limit: int = LIMIT,
    everything: bool = EVERYTHING,
    user: str = USER,
    as_json: bool = AS_JSON,
) -> None:
    """Find memories, best first."""
    from host.memory.record import Filter

    wanted = Filter(everything=everything)
    found = _run(user, lambda memory: memory.search(query, wanted, most=limit))
    _print([_row(hit.record, hit) for hit in found.hits], as_json=as_json)
    for note in found.notes:
        print(f"host: {note}", file=sys.stderr)


def list_(
    limit: int = LIMIT,
    everything: bool = EVERYTHING,
    forgotten: bool = typer.Option(False, "--forgotten", help="Only what was forgotten."),
    tag: list[str] = typer.Option([], "--tag", help="Only with this tag; may be repeated."),
    user: str = USER,
    as_json: bool = AS_JSON,
) -> None:
    """Print memories, newest first."""
    from host.memory.record import Filter

    wanted = Filter(everything=everything, forgotten=forgotten, tags=tuple(tag))
    page = _run(user, lambda memory: memory.page(wanted, most=limit))
    _print([_row(record) for record in page.records], as_json=as_json)


def add(  # noqa: PLR0913 - a command's options are its interface
    text: str = typer.Argument(help="What to remember."),
    *,
    kind: str = typer.Option("fact", help="fact, event, preference, note or reflection."),
    tag: list[str] = typer.Option([], "--tag", help="A tag; may be repeated."),
    importance: float = typer.Option(0.5, min=0, max=1, help="From 0 to 1."),
    source: str = typer.Option("", help="Where it is known from."),
    user: str = USER,
    as_json: bool = AS_JSON,
) -> None:
    """Remember something."""
    from host.domain.errors import NotFoundError
    from host.memory.record import KINDS, Draft

    if kind not in KINDS or kind == "entity":
        raise NotFoundError(
            "kind of memory",
            kind,
            KINDS,
            next_step="Kinds are fact, event, preference, note, reflection.",
        )
    draft = Draft(text, kind, tags=tuple(tag), importance=importance, source=source)
    done = _run(user, lambda memory: memory.remember(draft))
    if as_json:
        print(json.dumps({**_row(done.record), "outcome": done.outcome}))
        return
    print(f"{done.outcome}: {_line(_row(done.record))}")
    for note in done.notes:
        print(f"host: {note}", file=sys.stderr)


def forget(
    ids: list[str] = typer.Argument(help="Ids, as `host memory list` prints them."),
    purge: bool = typer.Option(False, "--purge", help="Remove for good; it cannot be undone."),
    user: str = USER,
    as_json: bool = AS_JSON,
) -> None:
    """Forget memories; `host memory restore` brings them back unless they are purged."""

    async def work(memory: "Memory") -> list[str]:
        hidden = {record.id for record in await _forgotten(memory, ids)} if purge else set[str]()
        done = await memory.forget([one for one in ids if one not in hidden])
        if purge:
            await memory.purge(ids)
        return sorted({record.id for record in done.records} | hidden)

    gone = _run(user, work)
    if as_json:
        print(json.dumps({"ids": gone, "purged": purge}))
        return
    print(f"{'Removed for good' if purge else 'Forgotten'}: {', '.join(gone)}")


def restore(
    ids: list[str] = typer.Argument(help="Ids, as `host memory list --forgotten` prints them."),
    user: str = USER,
    as_json: bool = AS_JSON,
) -> None:
    """Bring back what was forgotten."""
    done = _run(user, lambda memory: memory.restore(ids))
    found = [record.id for record in done.records]
    print(json.dumps({"ids": found}) if as_json else f"Restored: {', '.join(found)}")


def export(
    file: str = typer.Argument("-", help="A new file; - is standard output."), user: str = USER
) -> None:
    """Write the whole memory, with its history, as JSON lines."""
    from host.domain.errors import ConfigError

    try:
        # Private: it holds what the user told their agents.
        out = sys.stdout if file == "-" else _create(Path(file))
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be made: {error.strerror}.", next_step="Name a new file."
        ) from error

    async def work(memory: "Memory") -> int:
        from host.memory.transfer import export_part

        after: int | None = None
        count = 0
        while True:
            part = await export_part(memory.access, after=after)
            for line in part.lines:
                out.write(line + "\n")
            count += len(part.lines)
            if part.after is None:
                return count
            after = part.after

    count = _run(user, work)
    if file != "-":
        out.close()
        print(f"{file}: {count} lines.")


def import_(
    file: Path = typer.Argument(help="What `export` or the reference memory server wrote."),
    user: str = USER,
    as_json: bool = AS_JSON,
) -> None:
    """Add what a file has; what is there already is skipped."""
    from host.domain.errors import ConfigError

    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read: {error}.", next_step="Name a file of JSON lines."
        ) from error

    async def work(memory: "Memory") -> dict[str, int]:
        from host.memory.transfer import import_lines

        done = await import_lines(memory.access, lines)
        if memory.access.embedder is not None:
            await memory.catch_up(_tell)
        return asdict(done)

    done = _run(user, work)
    if as_json:
        print(json.dumps(done))
        return
    print(", ".join(f"{count} {name}" for name, count in done.items()))


def stats(user: str = USER, as_json: bool = AS_JSON) -> None:
    """Print how much there is, and how it is searched."""
    found = asdict(_run(user, lambda memory: memory.stats()))
    if as_json:
        print(json.dumps(found))
        return
    found["embedder"] = found["embedder"] or "none: words are searched, not meaning"
    groups = found.pop("by_kind")
    for name, value in {**found, **{f"  {k}": v for k, v in groups.items()}}.items():
        print(f"{name:<24} {value}")


def reindex(user: str = USER, as_json: bool = AS_JSON) -> None:
    """Renew the words of all memories for the language set, and make missing vectors."""

    async def work(memory: "Memory") -> dict[str, int]:
        from host.memory.recount import recount_words
        from host.memory.reindex import renew_words

        words = await renew_words(memory.access, _tell)
        mended = await recount_words(memory.access)
        caught = await memory.catch_up(_tell)
        return {"indexed": words, "counts mended": mended, **asdict(caught)}

    done = _run(user, work)
    if as_json:
        print(json.dumps(done))
        return
    print(", ".join(f"{count} {name}" for name, count in done.items()))


def _run(user: str, work: "Callable[[Memory], Awaitable[T]]") -> T:
    """Do something with a user's memory."""
    import anyio

    from host.domain.principal import Principal
    from host.memory.memory import Memory
    from host.storage.store import open_store

    config = _configured()

    async def run() -> T:
        store = await open_store(configured_url(), configured_folder())
        try:
            await store.ready(deadline=None)
            return await work(Memory(store, Principal(user, "cli"), config))
        finally:
            await store.close()

    return anyio.run(run)


def _configured() -> "MemoryConfig":
    """Return the settings of the memory server in host.yaml, so that both do the same."""
    from pydantic import ValidationError

    from host.config.load import load_settings
    from host.domain.errors import ConfigError
    from host.memory.config import MemoryConfig

    servers = load_settings().settings.servers
    found = [(name, one) for name, one in servers.items() if one.bundled == "memory"]
    if not found:
        return MemoryConfig()
    name, server = found[0]
    try:
        return MemoryConfig.model_validate(server.settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("servers", name, "settings", *first["loc"])))
        raise ConfigError(
            first["msg"], field=place, next_step="docs/servers/memory.md lists the settings."
        ) from error


async def _forgotten(memory: "Memory", ids: list[str]) -> "list[Record]":
    from host.memory.record import Filter

    wanted = Filter(everything=True, forgotten=True)
    found: list[Record] = []
    cursor: int | None = None
    while True:
        page = await memory.page(wanted, most=500, cursor=cursor)
        found += [record for record in page.records if record.id in ids]
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


def _create(file: Path) -> Any:  # noqa: ANN401 - a text file
    import os

    return os.fdopen(
        os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    )


async def _tell(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\rhost: {done} of {total}", end="\n" if done >= total else "", file=sys.stderr)


def _row(record: "Record", hit: "Hit | None" = None) -> dict[str, Any]:
    row = asdict(record)
    row.pop("entry")
    for name, value in row.items():
        if isinstance(value, datetime):
            row[name] = value.isoformat()
    return row if hit is None else {**row, "score": round(hit.score, 4)}


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(_line(row))


def _line(row: dict[str, Any]) -> str:
    score = f"{row['score']:.3f}  " if "score" in row else ""
    name = f"{row['label']}: " if row["label"] else ""
    tags = "".join(f" #{tag}" for tag in row["tags"])
    text = _plain(f"{name}{row['text']}{tags}")
    return f"{row['id']}  {score}{row['recorded'][:10]}  {row['kind']:<10}  {text}"


def _plain(text: str) -> str:
    """Return a text on one line, without the control characters that a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)
