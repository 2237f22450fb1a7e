"""`re` for plugins: replacements are looked up by value, in a cache of all plugins."""

import re
from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler.caches import on_plain
from host.sandbox.compiler.guards import Guards


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    return {"sub": on_plain(re.sub), "subn": on_plain(re.subn)}
