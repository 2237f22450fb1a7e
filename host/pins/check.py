"""Checks one definition: hidden text, odd names, orders to the model, suspicious parameters.

Pure: shown at review and by `host tools show`, and of use to whoever tests a server.
"""

import re
from collections.abc import Iterator
from typing import cast

from host.domain.jsonrpc import Json
from host.pins.finding import Finding, Severity, visible
from host.pins.hidden import find_hidden
from host.pins.lookalike import mixed_scripts
from host.pins.phrase import find_phrases

MOST_FINDINGS = 50
"""Findings of one definition that are kept; more say nothing new."""

LONG_TEXT = 8_000
"""Characters of one text from which it is worth a note."""

_DEEPEST = 60

_WANTS: tuple[tuple[Severity, str, re.Pattern[str]], ...] = (
    (
        "warning",
        "asks for the conversation or the model's own thoughts",
        re.compile(
            r"^(?:full|entire|whole|complete|all)?_?(?:conversation|chat|message|dialog(?:ue)?)_?"
            r"(?:history|log|transcript|context|so_far)$|^(?:conversation|transcript)$|"
            r"^(?:system|initial|original|user)_?(?:prompt|instructions)$|"
            r"^(?:side_?note|scratch_?pad|chain_?of_?thought|internal_?thoughts?|model_?name|"
            r"(?:all_|available_)?tools?_?(?:list|available))$"
        ),
    ),
    (
        "note",
        "asks for a key or password",
        re.compile(
            r"(?:^|_)(?:api_?key|access_?key|secret_?key|private_?key|ssh_?key|password|passphrase|"
            r"access_?token|auth_?token|bearer_?token|credentials?|env_?(?:vars?|file))$"
        ),
    ),
)
_ODD_DEFAULT = re.compile(
    r"^(?:https?|ftp|file|data|javascript):|\$\(|`[^`]+`|\|\s*(?:ba)?sh\b|"
    r"^[A-Za-z0-9+/]{60,}={0,2}$|(?:~/\.|/etc/|\.ssh/|\.env$)",
    re.IGNORECASE,
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ADDRESS = re.compile(r"^https?:", re.IGNORECASE)


def check_definition(definition: Json) -> list[Finding]:
    """Return what a person should look at in a tool, a prompt or a server's instructions.

    Args:
        definition: As its server gives it; instructions stand under `instructions`.
    """
    found: list[Finding] = []
    for finding in _check(definition):
        if finding not in found:
            found.append(finding)
        if len(found) >= MOST_FINDINGS:
            break
    order = ("danger", "warning", "note")
    return sorted(found, key=lambda each: order.index(each.severity))


def worst(findings: list[Finding]) -> Severity | None:
    """Return the worst severity of some findings; None where there are none."""
    return findings[0].severity if findings else None


def _check(definition: Json) -> Iterator[Finding]:
    name = definition.get("name")
    if isinstance(name, str):
        odd = mixed_scripts(name)
        if odd is not None:
            detail, quote = f"The name {odd}", visible(name)
            yield Finding(
                kind="look_alike", severity="danger", where="", detail=detail, quote=quote
            )
    texts = dict(_texts(definition, "", 0))
    places = list(texts)
    for index, phrase, said in find_phrases(texts.values()):
        yield Finding(
            kind="addresses_model",
            severity=phrase.severity,
            where=places[index],
            detail=f"It {phrase.detail}",
            quote=said,
        )
    for where, text in texts.items():
        yield from _check_text(where, text)
    for member in ("inputSchema", "outputSchema"):
        yield from _check_schema(definition.get(member), f"/{member}", 0)


def _check_text(where: str, text: str) -> Iterator[Finding]:
    for hidden in find_hidden(text):
        detail = hidden.detail[:1].upper() + hidden.detail[1:]
        yield Finding(
            kind="hidden_text",
            severity=hidden.severity,
            where=where,
            detail=detail,
            quote=hidden.quote,
        )
    if len(text) > LONG_TEXT:
        detail = f"A text of {len(text)} characters"
        yield Finding(kind="addresses_model", severity="note", where=where, detail=detail)


def _texts(value: object, where: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield every text of a definition, the names of members included."""
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            place = f"{where}/{visible(key, most=60).replace('~', '~0').replace('/', '~1')}"
            if not key.isascii() or len(key) > 40:
                yield f"{place} (its name)", key
            yield from _texts(inner, place, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[object]", value)):
            yield from _texts(inner, f"{where}/{index}", depth + 1)


def _check_schema(schema: object, where: str, depth: int) -> Iterator[Finding]:
    """Yield what parameters ask for, and odd defaults, wherever they are in a schema."""
    if depth > _DEEPEST:
        return
    if isinstance(schema, list):
        for index, inner in enumerate(cast("list[object]", schema)):
            yield from _check_schema(inner, f"{where}/{index}", depth + 1)
    if not isinstance(schema, dict):
        return
    members = cast("dict[str, object]", schema)
    properties = members.get("properties")
    if isinstance(properties, dict) and where.startswith("/inputSchema"):
        for name in cast("dict[str, object]", properties):
            yield from _check_parameter(str(name), f"{where}/properties/{visible(name, most=60)}")
    default = members.get("default")
    if isinstance(default, str) and _ODD_DEFAULT.search(default) is not None:
        how: Severity = "note" if _ADDRESS.match(default) else "warning"
        yield Finding(
            kind="odd_default",
            severity=how,
            where=f"{where}/default",
            detail="A default is an address, a command or a code",
            quote=visible(default),
        )
    for key, inner in members.items():
        yield from _check_schema(inner, f"{where}/{visible(key, most=60)}", depth + 1)


def _check_parameter(name: str, where: str) -> Iterator[Finding]:
    odd = mixed_scripts(name)
    if odd is not None:
        detail = f"A parameter's name {odd}"
        quote = visible(name, most=60)
        yield Finding(kind="look_alike", severity="danger", where=where, detail=detail, quote=quote)
    plain = _HUMP.sub("_", name).lower().replace("-", "_")
    for severity, what, pattern in _WANTS:
        if pattern.search(plain) is not None:
            yield Finding(
                kind="asks_for",
                severity=severity,
                where=where,
                detail=f"A parameter {what}",
                quote=visible(name, most=60),
            )
