"""The security schemes of an OpenAPI document, and the settings that they need."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from generator.literal import Code, one_line
from generator.naming import identifier, unique
from generator.shape import as_list, as_object
from generator.sources.parameter import is_token
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
    everywhere: object = None
    """What holds for an operation that says nothing, as the document has it."""
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])
    """Schemes that cannot be used, and why."""
    unmet: dict[str, int] = field(default_factory=dict[str, int])
    """Schemes that operations ask for in vain, and how many do."""

    def of(self, operation: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
        """Return the sets of schemes, any of which an operation accepts; note those in vain."""
        own = isinstance(operation.get("security"), list)
        stated: object = operation.get("security") if own else self.everywhere
        sets = [tuple(as_object(raw)) for raw in as_list(stated)]
        known = {scheme.name for scheme in self.schemes}
        usable = tuple(names for names in sets if known.issuperset(names))
        if sets and not usable:
            for name in dict.fromkeys(name for names in sets for name in names):
                if name not in known:
                    self.unmet[name] = self.unmet.get(name, 0) + 1
        return usable

    @property
    def notes(self) -> tuple[str, ...]:
        """What of logins was left out, a sentence for each scheme."""
        notes: list[str] = []
        for name in sorted({*self.reasons, *self.unmet}):
            why = self.reasons.get(name, "the document does not define it")
            number = self.unmet.get(name, 0)
            said = f"The login {one_line(name, 60)!r} is not done: {why}."
            if number:
                tools = "1 tool asks" if number == 1 else f"{number} tools ask"
                said += f" {tools} for it, and the service will refuse what is sent without."
            notes.append(said)
        return tuple(notes)


CREDENTIAL = re.compile(
    r"authorization|(x-)?(api-?key|auth(-?token)?|access-?token|secret)", re.IGNORECASE
)
"""Names of header parameters that carry a secret, whatever the document calls them."""


def read_security(
    document: Mapping[str, Any], resolver: Resolver, *, headers: Sequence[str] = ()
) -> Security:
    """Return the schemes of a document and what holds where an operation says nothing.

    Args:
        document: The document.
        resolver: For its references.
        headers: Header parameters that are secrets: each becomes a scheme of its name.
    """
    components = as_object(document.get("components"))
    stated = as_object(components.get("securitySchemes") or document.get("securityDefinitions"))
    schemes: list[Scheme] = []
    settings: list[Setting] = []
    reasons: dict[str, str] = {}
    taken = {"base_url", "timeout", "max_bytes", "auth_token", "public_url"}
    own = {name: {"type": "apiKey", "in": "header", "name": name} for name in headers}
    for name, raw in {**own, **stated}.items():
        found = resolver.follow(raw)
        made = _scheme(name, found, taken)
        if made is None:
            reasons[name] = _reason(found)
        else:
            schemes.append(made[0])
            settings.extend(made[1])
    return Security(tuple(schemes), tuple(settings), document.get("security"), reasons)


def _reason(raw: Mapping[str, Any]) -> str:
    """Return why a scheme cannot be used."""
    kind = one_line(str(raw.get("type") or ""), 40)
    if kind == "http":
        return f"its kind is HTTP {one_line(str(raw.get('scheme') or 'of no name'), 40)!r}"
    if kind == "apiKey":
        return "its name or place is not one that a request can have"
    return f"its kind is {kind!r}" if kind else "it says no kind"


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
        legal = wire.isascii() and wire.isprintable() and " " not in wire and wire != ""
        if not legal or (place != "query" and not is_token(wire)):
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
    scheme = str(raw.get("scheme", "")).lower()
    if kind in ("oauth2", "openIdConnect") or (kind == "http" and scheme == "bearer"):
        one = setting(f"{name} token", "The access token.")
        return Scheme(name, "bearer", "Authorization", (one.name,)), (one,)
    return None
