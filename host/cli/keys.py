"""`host keys`: the API keys of model providers, kept in the keyring or an encrypted file."""

import json
import os
import sys
from typing import TYPE_CHECKING

import typer

from host.cli.config import JSON_OPTION
from host.domain.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from host.models.provider import Provider
    from host.secrets.keys import Keys

_PLACES = {
    "keyring": "the system's keyring",
    "file": "an encrypted file",
    "environment": "the environment",
    ".env": ".env",
}


def register(root: typer.Typer) -> None:
    """Add `host keys`."""
    group = typer.Typer(no_args_is_help=True, help="Keep the API keys of model providers.")
    group.command("set")(set_key)
    group.command("list")(list_keys)
    group.command("test")(probe_key)
    group.command("remove")(remove_key)
    root.add_typer(group, name="keys")


def set_key(
    name: str = typer.Argument(help="The provider, such as anthropic or openai."),
) -> None:
    """Keep a key, typed unseen or read from standard input; never an argument, which others see."""
    keys, _ = _load_known(name)
    if sys.stdin.isatty():
        key = typer.prompt(f"Key for {name}", hide_input=True)
    else:
        key = sys.stdin.read()
    kept = keys.save(name, key.strip())
    print(f"The key for {name} is in {_PLACES[kept]}. `host keys test {name}` tries it.")


def list_keys(as_json: bool = JSON_OPTION) -> None:
    """List which keys there are and where, never the keys themselves."""
    keys, known = _load()
    rows = [
        {
            "name": name,
            "place": keys.place(name, provider.variables),
            "variables": list(provider.variables),
        }
        for name, provider in sorted(known.items())
    ]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['name']:<12} {_PLACES.get(str(row['place']), '-')}")


def stored_keys() -> list[str]:
    """Return the providers for which there is a key."""
    keys, known = _load()
    return [name for name, one in sorted(known.items()) if keys.place(name, one.variables)]


def probe_key(
    name: str = typer.Argument(help="The provider."),
    model: str | None = typer.Option(None, help="Model to ask; default: the provider's cheapest."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Make the provider's cheapest call with the key."""
    from host.cli.models import print_probe, try_model

    _, provider = _load_known(name)
    if model is None and provider.probe is None:
        raise ConfigError(
            f"The host knows no cheap model of {name!r}.",
            next_step=f"Name one: host keys test {name} --model NAME.",
        )
    asked = (model or provider.probe or "").removeprefix(f"{provider.name}:")
    print_probe(try_model(f"{provider.name}:{asked}"), as_json)


def remove_key(
    name: str = typer.Argument(help="The provider."),
) -> None:
    """Forget a stored key."""
    keys, provider = _load_known(name)
    if not keys.remove(name):
        raise NotFoundError("stored key", name, next_step="`host keys list` shows what there is.")
    print(f"The key for {name} is forgotten.")
    place = keys.place(name, provider.variables)
    if place is not None:
        print(f"Another one is still in {_PLACES[place]}.")


def _load() -> "tuple[Keys, dict[str, Provider]]":
    from host.config.paths import user_paths
    from host.models.config_file import load_models_config
    from host.models.provider import key_names
    from host.secrets.keys import Keys

    paths = user_paths()
    return Keys.of_user(paths, os.environ), key_names(load_models_config(paths.config).providers)


def _load_known(name: str) -> "tuple[Keys, Provider]":
    keys, known = _load()
    if name not in known:
        raise NotFoundError("model provider", name, known)
    return keys, known[name]
