"""`urllib.parse` for plugins: without the cache that all of them would share."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false
# Why: guards and facades take and give objects of any type.

import urllib.parse
from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler.caches import plain
from host.sandbox.compiler.guards import Guards


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""

    def urlsplit(url: Any, scheme: Any = "", allow_fragments: bool = True) -> Any:
        return urllib.parse.urlsplit(plain(url), plain(scheme), bool(allow_fragments))

    return {"urlsplit": urlsplit}
