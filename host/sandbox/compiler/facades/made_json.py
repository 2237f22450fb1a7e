"""`json` for plugins: a decoder that shows its inside to no subclass."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# Why: guards and facades take and give objects of any type.

import json
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from host.sandbox.compiler.caches import plain
from host.sandbox.compiler.guards import Guards


class JSONDecoder(json.JSONDecoder):
    """Reads JSON; a subclass may give the hooks, and sees nothing else of how it is done."""

    __slots__ = ("scan",)

    def __init__(self, **options: Any) -> None:
        made: Any = json.JSONDecoder(**options)
        _SCAN.__set__(self, made.scan_once)
        hooks = {name: getattr(made, name) for name in ("object_hook", "object_pairs_hook")}
        vars(self).update(hooks, strict=made.strict)

    @override
    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        """Read one value; the rest of the text is left."""
        try:
            return _SCAN.__get__(self)(plain(s), plain(idx))
        except StopIteration as end:
            message = "Expecting value"
            raise json.JSONDecodeError(message, plain(s), end.value) from None


_SCAN: Any = JSONDecoder.__dict__["scan"]
type.__delattr__(JSONDecoder, "scan")


def share_reader(made: Any, value: Any, _: object) -> None:
    """Let a copy of a decoder read as it does."""
    _SCAN.__set__(made, _SCAN.__get__(value))


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    return {"JSONDecoder": JSONDecoder}
