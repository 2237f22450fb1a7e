"""`random` for plugins: a generator of their own, so that no seed reaches another plugin."""

import random
from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler.catalog import MADE
from host.sandbox.compiler.guards import Guards


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    generator = random.Random()  # noqa: S311  # the plugin's dice, not a key
    return {name: getattr(generator, name) for name in MADE["random"].split()}
