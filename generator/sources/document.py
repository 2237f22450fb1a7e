"""Parses JSON and YAML documents of strangers: nothing is run, fetched or multiplied."""

import json
from typing import Any, cast

import yaml

from generator.errors import GeneratorError
from generator.shape import as_object

MAX_BYTES = 32_000_000
"""Largest document."""
MAX_DEPTH = 200
"""Deepest nesting."""


_BASE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):
    """Reads plain data; a date stays the text that it is."""


_Loader.yaml_implicit_resolvers = {
    letter: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_document(text: str, *, name: str) -> dict[str, Any]:
    """Return the document as an object whose keys are texts.

    What YAML aliases repeat stays one object in memory, so a document of a kilobyte cannot fill it.

    Args:
        text: JSON or YAML.
        name: What to call it in an error.

    Raises:
        GeneratorError: It is too large or too deep, is neither, or is not an object.
    """
    if len(text) > MAX_BYTES:
        raise GeneratorError(f"{name} is larger than {MAX_BYTES:,} characters.")
    try:
        value: object = json.loads(text) if text.lstrip()[:1] == "{" else _load_yaml(text)
    except (ValueError, yaml.YAMLError) as first:
        try:
            value = _load_yaml(text)
        except (ValueError, yaml.YAMLError, RecursionError):
            raise GeneratorError(f"{name} is neither JSON nor YAML: {first}") from first
    except RecursionError:
        raise GeneratorError(f"{name} is nested too deeply.") from None
    if not isinstance(value, dict):
        raise GeneratorError(f"{name} is not an object with keys.")
    return as_object(_texts(cast("object", value), {}, 0, name))


def _load_yaml(text: str) -> object:
    loader = _Loader(text)
    try:
        return cast("object", loader.get_single_data())
    finally:
        loader.dispose()


def _texts(value: object, done: dict[int, object], depth: int, name: str) -> object:
    """Turn keys into texts; each object is looked at once, however often it is referred to."""
    if depth > MAX_DEPTH:
        raise GeneratorError(f"{name} is nested more than {MAX_DEPTH} levels deep.")
    key_of = id(value)
    if key_of in done:
        return done[key_of]
    if isinstance(value, dict):
        found: dict[str, object] = {}
        done[key_of] = found
        for key, inner in cast("dict[object, object]", value).items():
            text = str(key).lower() if isinstance(key, bool) else str(key)
            found[text] = _texts(inner, done, depth + 1, name)
        return found
    if isinstance(value, list):
        items: list[object] = []
        done[key_of] = items
        items.extend(_texts(one, done, depth + 1, name) for one in cast("list[object]", value))
        return items
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)
