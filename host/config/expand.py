"""`${VAR}` and `${VAR:-default}` in configuration values, and the `.env` file behind them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, cast

from dotenv import dotenv_values

from host.config.yaml import Document, Json, Place
from host.domain.errors import ConfigError
from host.domain.names import nearest_names

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<body>[^}]*)(?P<end>\}?)")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_SHORT = 2
"""Characters of a variable's name (`_`, `PS`) up to which it is like any other."""
_SECRET_NAME = re.compile(
    r"(?:^|[_\-])(?:key|apikey|token|secret|password|passwd|pwd|pass|auth|authorization|credentials?"
    r"|cookie|session|dsn|pat|private|signature)(?:$|[_\-])|(?:token|secret|password|apikey)$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Tell whether a variable, header or flag of this name usually holds a secret."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return _SECRET_NAME.search(spaced) is not None


@dataclass(slots=True)
class Expansion:
    """A document with its references replaced.

    Attributes:
        value: The content.
        errors: One for each reference that cannot be replaced.
        secrets: Values that came from a variable whose name says that it is secret.
    """

    value: Json
    errors: list[ConfigError] = field(default_factory=list[ConfigError])
    secrets: set[str] = field(default_factory=set[str])


def parse_env(text: str) -> dict[str, str]:
    """Return the variables of a `.env` text; nothing is interpolated and nothing exported."""
    values = dotenv_values(stream=StringIO(text), interpolate=False)
    return {name: value or "" for name, value in values.items()}


def expand(document: Document, variables: Mapping[str, str]) -> Expansion:
    """Replace the references in every text value of a document; keys stay as they are.

    `$${` stands for a literal `${`. A default applies where the variable is unset or empty.

    Args:
        document: What the file says.
        variables: The environment and the `.env` file, merged by the caller.
    """
    outcome = Expansion(None)
    outcome.value = _walk(document.value, (), _Scope(document, variables, outcome))
    return outcome


@dataclass(frozen=True, slots=True)
class _Scope:
    document: Document
    variables: Mapping[str, str]
    outcome: Expansion


def _walk(value: Json, place: Place, scope: _Scope) -> Json:
    if isinstance(value, str):
        return _expand_text(value, place, scope) if "${" in value else value
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [_walk(item, (*place, index), scope) for index, item in enumerate(items)]
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: _walk(item, (*place, key), scope) for key, item in members.items()}
    return value


def _expand_text(text: str, place: Place, scope: _Scope) -> str:
    def replace(found: re.Match[str]) -> str:
        if found.group() == "$${":
            return "${"
        return _resolve(found, place, scope)

    return _REFERENCE.sub(replace, text)


def _resolve(found: re.Match[str], place: Place, scope: _Scope) -> str:
    body = _BODY.fullmatch(found["body"])
    if body is None or not found["end"]:
        scope.outcome.errors.append(
            scope.document.error(
                f"{found.group()!r} is not a reference.",
                place=place,
                next_step="Write ${NAME} or ${NAME:-default}; $${ stands for a literal ${.",
            )
        )
        return ""
    name, default = body["name"], body["default"]
    value = scope.variables.get(name)
    if default is not None and not value:
        return default
    if value is None:
        scope.outcome.errors.append(_unset(name, place, scope))
        return ""
    if value and is_secret_name(name):
        scope.outcome.secrets.add(value)
    return value


def _unset(name: str, place: Place, scope: _Scope) -> ConfigError:
    near = nearest_names(name, [known for known in scope.variables if len(known) > _SHORT])
    like = f" (or did you mean {near[0]}?)" if near else ""
    return scope.document.error(
        f"The variable {name} is not set.",
        place=place,
        next_step=f"Set it{like}, put it into the .env file beside this file, or write "
        f"${{{name}:-default}}.",
    )
