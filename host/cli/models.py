"""`host models`: which language models there are, and whether one works."""

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from host.cli.config import JSON_OPTION

if TYPE_CHECKING:
    from host.models.models import ModelCard, Models
    from host.models.probe import ProbeResult


def register(root: typer.Typer) -> None:
    """Add `host models`."""
    group = typer.Typer(no_args_is_help=True, help="List and try language models.")
    group.command("list")(list_models)
    group.command("test")(probe)
    group.command("compliance")(compliance)
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
    import anyio

    rows = anyio.run(_measure, name, repeats)
    if as_json:
        print(json.dumps(rows))
        return
    print(f"{'WAY':<10} {'ASKED':>5} {'AT ONCE':>8} {'REPAIRED':>9} {'RATE':>6}")
    for row in rows:
        counts = f"{row['asked']:>5} {row['at_once']:>8} {row['repaired']:>9}"
        print(f"{row['mode']:<10} {counts} {row['rate']:>6.0%}")


async def _measure(name: str, repeats: int) -> list[dict[str, Any]]:
    from host.models.compliance import measure_compliance

    models = _load()
    modes = ("native", "tool", "prompted")
    try:
        model = models.resolve(name)
        found = [await measure_compliance(model, mode, repeats=repeats) for mode in modes]
    finally:
        await models.aclose()
    return [{**asdict(each), "rate": each.rate} for each in found]


def try_model(name: str) -> "ProbeResult":
    """Ask a model for one word."""
    import anyio

    from host.models.probe import probe_model

    return anyio.run(probe_model, _load(), name)


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
    behind = ", ".join(card.models)
    return f"{card.name:<34} {card.key:<11} {prices} {card.context or '':>9}  {behind}".rstrip()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
