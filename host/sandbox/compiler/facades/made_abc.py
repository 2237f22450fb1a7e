"""`abc` for plugins."""

import abc
from collections.abc import Callable, Mapping
from typing import Any

from host.sandbox.compiler.classes import ABSTRACT_KIND
from host.sandbox.compiler.guards import Guards


def members(guards: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""

    def abstractmethod(function: Callable[..., Any]) -> Callable[..., Any]:
        """Mark a method as abstract; it sets an attribute, so only on the plugin's functions."""
        guards.ownership.demand(function, "abstractmethod")
        return abc.abstractmethod(function)

    return {"ABCMeta": ABSTRACT_KIND, "abstractmethod": abstractmethod}
