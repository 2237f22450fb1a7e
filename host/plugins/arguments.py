"""Checks what a tool of a plugin is called with by the tool's own schema; used by its crew."""

from collections.abc import Iterable, Iterator, Mapping

import jsonschema_rs

from host.domain.errors import PluginFailedError
from host.domain.jsonrpc import as_object
from host.domain.protocol import object_member
from host.sandbox.broker import JSON
from host.sandbox.pool import DeclaredFunction


class ArgumentCheck:
    """Knows the schemas of one plugin's tools.

    Args:
        plugin: Its name.
        functions: What it declares; hooks, evaluators and rules are called by the host itself.
    """

    def __init__(self, plugin: str, functions: Iterable[DeclaredFunction]) -> None:
        self._plugin = plugin
        tools = [one for one in functions if one.kind == "tool"]
        self._validators = {one.name: _validator(one.parameters) for one in tools}
        self._optional = {(one.name, name) for one in tools for name in _null_by_default(one)}

    def check(self, function: str, arguments: Mapping[str, JSON]) -> None:
        """Compare arguments with a tool's schema.

        Raises:
            PluginFailedError: They do not fit it.
        """
        validator = self._validators.get(function)
        if validator is None:
            return
        given = {
            name: value
            for name, value in arguments.items()
            if value is not None or (function, name) not in self._optional
        }
        try:
            validator.validate(given)
        except jsonschema_rs.ValidationError as error:
            where = ".".join(str(part) for part in error.instance_path)
            words = f"{where}: {error.message}" if where else error.message
            raise PluginFailedError(
                f"{self._plugin}.{function} was not called: {words}.",
                kind="ArgumentError",
                trace=[],
                output="",
            ) from None


def _null_by_default(function: DeclaredFunction) -> Iterator[str]:
    """Yield the parameters of the form `x: int = None`; null is as good as nothing for them."""
    for name, schema in object_member(function.parameters, "properties").items():
        known = as_object(schema)
        if known is not None and known.get("default", ...) is None:
            yield name


def _validator(schema: Mapping[str, JSON]) -> jsonschema_rs.Validator | None:
    """Return what checks by a schema, or None where it is unusable.

    Linear-time patterns, and no reference is fetched: the schema comes from the plugin's process.
    """
    try:
        return jsonschema_rs.validator_for(
            {"type": "object", **schema},
            pattern_options=jsonschema_rs.RegexOptions(),
            offline=True,
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return None
