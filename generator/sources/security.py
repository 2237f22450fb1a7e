"""The security schemes of an OpenAPI document, and the settings that they need."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from generator.literal import Code, one_line
from generator.naming import identifier, unique
from generator.shape import as_object
from generator.sources.schemas import Resolver
from generator.spec import Setting

_SECRET = Code("SecretStr | None")


@dataclass(frozen=True)
class Scheme:
    """One way of proving who asks."""

    name: str
    """Its name in the document."""
    kind: str
    """`header`, `query`, `cookie`, `bearer` or `basic`."""
    wire: str
    """The header, parameter or cookie."""
    settings: tuple[str, ...]
    """The settings that hold the secret; user and password for `basic`."""


@dataclass(frozen=True)
class Security:
    """All schemes of a document."""

    schemes: tuple[Scheme, ...]
    settings: tuple[Setting, ...]
    everywhere: tuple[tuple[str, ...], ...]
    """What holds for an operation that says nothing."""

    def of(self, operation: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
        """Return the sets of schemes, any of which an operation accepts."""
        if isinstance(operation.get("security"), list):
            return _requirements(operation["security"], self.schemes)
        return self.everywhere


def read_security(document: Mapping[str, Any], resolver: Resolver) -> Security:
    """Return the schemes of a document and what holds where an operation says nothing."""
    components = as_object(document.get("components"))
    stated = as_object(components.get("securitySchemes") or document.get("securityDefinitions"))
    schemes: list[Scheme] = []
    settings: list[Setting] = []
    taken = {"base_url", "timeout", "max_bytes", "auth_token", "public_url"}
    for name, raw in stated.items():
        made = _scheme(name, resolver.follow(raw), taken)
        if made is not None:
            schemes.append(made[0])
            settings.extend(made[1])
    everywhere = _requirements(document.get("security"), tuple(schemes))
    return Security(tuple(schemes), tuple(settings), everywhere)


def _requirements(value: object, schemes: tuple[Scheme, ...]) -> tuple[tuple[str, ...], ...]:
    known = {scheme.name for scheme in schemes}
    found: list[tuple[str, ...]] = []
    for raw in cast("list[object]", value) if isinstance(value, list) else []:
        names = tuple(as_object(raw))
        if all(name in known for name in names):
            found.append(names)
    return tuple(found)


def _scheme(
    name: str, raw: Mapping[str, Any], taken: set[str]
) -> tuple[Scheme, tuple[Setting, ...]] | None:
    kind, place, wire = raw.get("type"), raw.get("in"), raw.get("name")
    about = one_line(str(raw.get("description") or ""), 200)

    def setting(stem: str, meaning: str) -> Setting:
        key = unique(identifier(stem, otherwise="secret", longest=40).strip("_"), taken)
        taken.add(key)
        return Setting(key, _SECRET, None, about or meaning, required=True, secret=True)

    if kind == "apiKey" and place in ("header", "query", "cookie") and isinstance(wire, str):
        if not wire.isascii() or not wire.isprintable() or " " in wire:
            return None
        one = setting(name, "The API key.")
        return Scheme(name, str(place), wire, (one.name,)), (one,)
    basic = kind == "basic" or (kind == "http" and str(raw.get("scheme", "")).lower() == "basic")
    if basic:
        user, password = (
            setting(f"{name} user", "User name."),
            setting(f"{name} password", "Password."),
        )
        return Scheme(name, "basic", "Authorization", (user.name, password.name)), (user, password)
    if kind in ("http", "oauth2", "openIdConnect"):
        one = setting(f"{name} token", "The access token.")
        return Scheme(name, "bearer", "Authorization", (one.name,)), (one,)
    return None
