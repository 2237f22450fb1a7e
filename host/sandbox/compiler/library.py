"""The modules of one plugin: each made when it is first imported, then kept."""

from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler.catalog import PLAIN, members
from host.sandbox.compiler.classes import allow_bases
from host.sandbox.compiler.facade import Facade, make_facade, sealed
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.kinds import allow_class


class Library:
    """Answers a plugin's import statements.

    Args:
        guards: The plugin's guards.
        generated: Further modules, name to members, such as `tools.github`.
    """

    def __init__(self, guards: Guards, generated: Mapping[str, Mapping[str, Any]]) -> None:
        self._guards = guards
        self.generated = generated
        self._made: dict[str, Facade] = {}

    def module(self, name: str) -> Facade:
        """Return what `import name` binds."""
        if name not in self._made:
            self._made[name] = make_facade(f"module {name}", self._members(name))
        return self._made[name]

    def member(self, module: str, name: str) -> Any:
        """Return what `from module import name` binds."""
        facade = self.module(module)
        try:
            return getattr(facade, name)
        except AttributeError:
            message = f"cannot import name {name!r} from {module!r}"
            raise ImportError(message, name=name) from None

    def _members(self, name: str) -> dict[str, Any]:
        found = dict(self._own_members(name))
        for child in (*PLAIN, *self.generated):
            parent, _, last = child.rpartition(".")
            if parent == name:
                found[last] = self.module(child)
        return found

    def _own_members(self, name: str) -> Mapping[str, Any]:
        if name in self.generated:
            items = self.generated[name].items()
            return {key: sealed(value, f"{name}.{key}") for key, value in items}
        if name not in PLAIN:
            if any(child.startswith(f"{name}.") for child in self.generated):
                return {}
            message = f"There is no module named {name!r}."
            raise ImportError(message, name=name)
        found = members(name, self._guards)
        for value in found.values():
            allow_class(value)
        allow_bases(name, found)
        return found
