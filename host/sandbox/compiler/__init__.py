"""The first wall: compiles plugins so that their code reaches nothing but what it was given."""

from host.sandbox.compiler.catalog import members_of, module_names, preload
from host.sandbox.compiler.facade import Facade, make_facade
from host.sandbox.compiler.finding import Finding
from host.sandbox.compiler.plugin import (
    CompiledPlugin,
    Namespace,
    blank_namespace,
    check_plugin,
    compile_plugin,
)


def allowed_modules() -> dict[str, list[str]]:
    """Return the modules that plugins may import, each with its names."""
    return {module: sorted(members_of(module)) for module in sorted(module_names())}


__all__ = [
    "CompiledPlugin",
    "Facade",
    "Finding",
    "Namespace",
    "allowed_modules",
    "blank_namespace",
    "check_plugin",
    "compile_plugin",
    "make_facade",
    "preload",
]
