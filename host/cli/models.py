"""`host models`: which language models there are, and whether one works."""

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from host.cli.config import JSON_OPTION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from host.models.card import ModelCard
    from host.models.models import Models
    from host.models.probe import ProbeResult
    from host.models.stored_ledger import Sum

T = TypeVar("T")
_USER = "local"
"""Whoever sits at the terminal, as in the daemon."""


def register(root: typer.Typer) -> None:
    """Add `host models`."""
    group = typer.Typer(no_args_is_help=True, help="List and try language models.")
    group.command("list")(list_models)
    group.command("test")(probe)
    group.command("compliance")(compliance)
    group.command("usage")(usage)
    root.add_typer(group, name="models")


def list_models(as_json: bool = JSON_OPTION) -> None:
    """List the models, routes and scripts there are; any provider:name works besides."""
    models = _load()
    cards = models.describe()
    if as_json:
        print(json.dumps([asdict(card) for card in cards]))
        return
    print(f"{'MODEL':<34} {'KEY':<11} {'$/M IN':>7} {'$/M OUT':>8} {'CONTEXT':>9}  BEHIND IT")
    for card in cards:
        print(_line(card))
    print(f"Prices: models.yaml, else {models.desk.prices.source}.")


def probe(
    name: str = typer.Argument(help="A name or route of models.yaml, or provider:name."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Ask a model for one word, and say how long it took and what it cost."""
    print_probe(try_model(name), as_json)


def compliance(
    name: str = typer.Argument(help="A name or route of models.yaml, or provider:name."),
    repeats: int = typer.Option(1, min=1, max=100, help="How often each schema is asked for."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Measure how often a model meets a JSON Schema, in each way of asking; makes paid calls."""
    rows = _asking(lambda models: _measure(models, name, repeats))
    if as_json:
        print(json.dumps(rows))
        return
    print(f"{'WAY':<10} {'ASKED':>5} {'AT ONCE':>8} {'REPAIRED':>9} {'RATE':>6}")
    for row in rows:
        counts = f"{row['asked']:>5} {row['at_once']:>8} {row['repaired']:>9}"
        print(f"{row['mode']:<10} {counts} {row['rate']:>6.0%}")


def usage(
    days: int = typer.Option(1, min=1, max=366, help="How many days (UTC), today included."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what was spent on models: in all, by user and by model."""
    import anyio

    rows = [asdict(row) for row in anyio.run(_read_sums, days)]
    if as_json:
        print(json.dumps(rows))
        return
    print(f"{'DAY':<10} {'FOR':<42} {'REQUESTS':>8} {'READ':>10} {'WRITTEN':>9} {'$':>10}")
    for row in rows:
        whose = f"{row['kind']} {row['name']}" if row["name"] else "all"
        tokens = f"{row['input_tokens']:>10} {row['output_tokens']:>9}"
        print(f"{row['day']:<10} {whose:<42} {row['requests']:>8} {tokens} {row['cost']:>10.4f}")


async def _read_sums(days: int) -> "list[Sum]":
    from host.cli.store import configured_store
    from host.models.stored_ledger import read_sums

    store = await configured_store()
    try:
        await store.ready(deadline=None)
        return await read_sums(store, days)
    finally:
        await store.close()


async def _measure(models: "Models", name: str, repeats: int) -> list[dict[str, Any]]:
    from host.models.budget import Scope
    from host.models.compliance import measure_compliance

    model = models.resolve(name, scope=Scope(user=_USER))
    modes = ("native", "tool", "prompted")
    found = [await measure_compliance(model, mode, repeats=repeats) for mode in modes]
    return [{**asdict(each), "rate": each.rate} for each in found]


def try_model(name: str) -> "ProbeResult":
    """Ask a model for one word; what it costs is booked like any request."""
    from host.models.probe import probe_model

    return _asking(lambda models: probe_model(models, name, user=_USER))


def _asking(work: "Callable[[Models], Awaitable[T]]") -> "T":
    """Do something with the models, on the account that the daemon books on.

    The store is started only where there is something to be counted or booked.
    """
    import anyio

    from host.cli.store import configured_store
    from host.config.paths import user_paths
    from host.models.models import Models

    async def run() -> T:
        store = await configured_store()
        try:
            models = Models.load(user_paths(), os.environ, store=store)
            try:
                return await work(models)
            finally:
                await models.aclose()
                if models.desk.budget.owes:  # a store that is made at its first use takes longer
                    await store.ready(deadline=None)
                    await models.desk.budget.book_owed()
        finally:
            await store.close()

    return anyio.run(run)


def print_probe(found: "ProbeResult", as_json: bool) -> None:
    """Print what a probe found."""
    if as_json:
        print(json.dumps(asdict(found)))
        return
    cost = "price unknown" if found.cost is None else f"${found.cost:.6f}"
    tokens = f"{found.input_tokens} + {found.output_tokens} tokens"
    print(f"{found.model} answered in {found.seconds:.2f} s ({tokens}, {cost}).")
    for note in found.notes:
        print(note)


def _load() -> "Models":
    from host.config.paths import user_paths
    from host.models.models import Models

    return Models.load(user_paths(), os.environ)


def _line(card: "ModelCard") -> str:
    prices = f"{_number(card.input):>7} {_number(card.output):>8}"
    behind = ", ".join(card.models) + (f" ({card.problem})" if card.problem else "")
    return f"{card.name:<34} {card.key:<11} {prices} {card.context or '':>9}  {behind}".rstrip()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
