"""Moves what looks secret out of a server's entry, into variables that the entry refers to."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from host.config.expand import is_secret_name
from host.config.yaml import Json, as_mapping

_KEY = re.compile(
    r"(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}|AIza[\w-]{30,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|://[^/\s:@]+:[^/\s@]+@\S+"
)


@dataclass(slots=True)
class HiddenEntry:
    """An entry without its secrets.

    Attributes:
        entry: The entry, with `${NAME}` for each of them.
        variables: The new variables, for the `.env` file.
    """

    entry: dict[str, Json]
    variables: dict[str, str] = field(default_factory=dict[str, str])


def hide_secrets(name: str, entry: dict[str, Json], *, taken: Mapping[str, str]) -> HiddenEntry:
    """Return an entry with its secrets in variables.

    Environment values and headers go by their names or their looks, addresses by their query, words
    of a command by the flag before them or by the forms of well-known keys.

    Args:
        name: Name of the server.
        entry: Its entry, in the words of `ServerConfig`.
        taken: Variables that exist; a name among them is used only for the same value.
    """
    hidden = HiddenEntry(dict(entry))

    def hide(hint: str, value: str) -> str:
        variable = _free_name(hint, name, value, {**taken, **hidden.variables})
        hidden.variables[variable] = value
        return f"${{{variable}}}"

    for block in ("env", "headers"):
        values = as_mapping(hidden.entry.get(block))
        if values:
            hidden.entry[block] = {
                key: hide(key, value) if _is_secret(key, value) else value
                for key, value in values.items()
            }
    words: Json = hidden.entry.get("args")
    if isinstance(words, list):
        flags = ["", *(str(word) for word in cast("list[Json]", words))]
        hidden.entry["args"] = [
            _hide_word(word, flag, hide=hide)
            for word, flag in zip(cast("list[Json]", words), flags, strict=False)
        ]
    url: Json = hidden.entry.get("url")
    if isinstance(url, str) and "${" not in url and _has_secret_query(url):
        hidden.entry["url"] = hide("URL", url)
    return hidden


def _is_secret(key: str, value: Json) -> bool:
    if not isinstance(value, str) or not value or "${" in value:
        return False
    return is_secret_name(key) or _KEY.search(value) is not None


def _hide_word(word: Json, flag: str, *, hide: Callable[[str, str], str]) -> Json:
    if not isinstance(word, str) or "${" in word:
        return word
    option, equals, value = word.partition("=")
    if equals and value and option.startswith("-") and is_secret_name(option.lstrip("-")):
        return f"{option}={hide(option.lstrip('-'), value)}"
    if flag.startswith("-") and is_secret_name(flag.lstrip("-")) and not word.startswith("-"):
        return hide(flag.lstrip("-"), word)
    return hide("KEY", word) if _KEY.search(word) else word


def _has_secret_query(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    named = any(is_secret_name(key) for key, _ in parse_qsl(parts.query))
    return named or _KEY.search(url) is not None


def _free_name(hint: str, name: str, value: str, known: Mapping[str, str]) -> str:
    plain = re.sub(r"\W+", "_", hint).upper().strip("_") or "VALUE"
    prefix = re.sub(r"\W+", "_", name).upper()
    generic = plain in ("KEY", "URL", "TOKEN", "API_KEY", "AUTHORIZATION", "PASSWORD", "SECRET")
    wanted = f"{prefix}_{plain}" if generic or plain[0].isdigit() else plain
    wanted = f"V_{wanted}" if wanted[0].isdigit() else wanted
    tries = [wanted, f"{prefix}_{plain}", *(f"{wanted}_{n}" for n in range(2, 100))]
    return next(one for one in tries if known.get(one, value) == value)
