"""The settings as a flat list: each field, its value with secrets masked, and what set it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from host.config.load import LoadedSettings
from host.config.yaml import Json, Place, as_mapping, dotted

MASK = "********"
"""What stands in place of a secret."""


@dataclass(frozen=True, slots=True)
class ShownField:
    """One field of the configuration.

    Attributes:
        field: Its dotted path.
        value: Its value, secrets masked.
        source: `file:line`, or `default`.
    """

    field: str
    value: Json
    source: str


def show_settings(loaded: LoadedSettings, *, everything: bool = False) -> list[ShownField]:
    """Return the fields of the settings in the order of the model.

    Args:
        loaded: The settings.
        everything: Also fields that nobody set.
    """
    secrets = sorted(loaded.settings.secret_values(), key=len, reverse=True)
    shown: list[ShownField] = []
    dumped = loaded.settings.model_dump(mode="json", by_alias=False, exclude={"mcp_servers"})
    built_in = any(source.kind == "defaults" for source in loaded.sources)
    for place, value in _leaves(dumped, ()):
        source = _source(place, loaded)
        by_us = place[0] == "servers" and source is None and value not in (None, [], {})
        bundled = by_us and (place[-1] == "bundled" or "settings" in place)
        if everything or source is not None or (bundled and built_in):
            shown.append(ShownField(dotted(place), _mask(value, secrets), source or "default"))
    return shown


def _leaves(value: Json, place: Place) -> Iterator[tuple[Place, Json]]:
    members = as_mapping(value)
    if not members:
        yield place, value
        return
    for key, item in members.items():
        yield from _leaves(item, (*place, key))


def _source(place: Place, loaded: LoadedSettings) -> str | None:
    known = loaded.places.get(dotted(place))
    if known is None and place[-1] == "transport":
        return loaded.places.get(dotted((*place[:-1], "type")))
    return known


def _mask(value: Json, secrets: list[str]) -> Json:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
        return MASK if value == "**********" else value
    if isinstance(value, list):
        return [_mask(item, secrets) for item in cast("list[Json]", value)]
    return value
