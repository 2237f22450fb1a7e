"""What turns plugin source into something with a `load` method; resolved once, by the zygote."""

import base64
import importlib
import marshal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Loader:
    """A module's way to compile plugins.

    Attributes:
        compile: Takes source, `name`, `modules` and maybe `entry`.
        restore: Takes a name and the code that an earlier `compile` made; None where a loader's
            plugins have no code that could be kept.
        blank: Makes a namespace before it is known whose; None where `load` makes it.
        preload: Imports what `compile` would import later, when no file can be read.
    """

    compile: Callable[..., Any]
    restore: Callable[..., Any] | None
    blank: Callable[..., Any] | None
    preload: Callable[[], None] | None

    @classmethod
    def named(cls, name: str) -> Self:
        """Imports `module:function`; the module's `CompiledPlugin` is what restores."""
        module_name, _, attribute = name.partition(":")
        module = importlib.import_module(module_name)
        restore = getattr(module, "CompiledPlugin", None)
        blank = getattr(module, "blank_namespace", None)
        return cls(getattr(module, attribute), restore, blank, getattr(module, "preload", None))

    def packed(self, compiled: object) -> str:
        """Returns a compiled plugin as text; empty where it cannot be kept."""
        if self.restore is None:
            return ""
        code = getattr(compiled, "code")  # noqa: B009 - `object` has no such attribute for a type checker
        return base64.b64encode(marshal.dumps(code)).decode()

    def unpacked(self, code: str, name: str) -> Any:  # noqa: ANN401 - the loader's own class
        """Returns the compiled plugin that `packed` wrote; the text comes from the host alone."""
        if self.restore is None:
            msg = "this loader restores nothing"
            raise TypeError(msg)
        return self.restore(name, marshal.loads(base64.b64decode(code)))  # noqa: S302 - see above
