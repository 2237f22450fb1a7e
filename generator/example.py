"""The tools that show what a feature does: one for each feature that a server is made with."""

from collections.abc import Iterable

from generator.naming import title, unique
from generator.spec import FEATURES, Effect, Tool

_EXAMPLES: dict[str, tuple[str, str, Effect]] = {
    "lifespan": (
        "count_visit",
        "Count one more visit since the server started, and return how many there were.",
        "adds",
    ),
    "elicitation": ("greet_user", "Ask the user for a name and return a greeting.", "reads"),
    "tasks": (
        "count_slowly",
        "Count to three with progress; a client may let it run in the background.",
        "reads",
    ),
}
"""Feature → the name of its tool, what it does, and its effect."""


def examples_of(features: Iterable[str], taken: Iterable[str]) -> dict[str, Tool]:
    """Return the tool of each feature, under a name that no other tool has.

    Args:
        features: What the server is made with.
        taken: Names of the server's other tools.
    """
    wanted, used = set(features), list(taken)
    found: dict[str, Tool] = {}
    for feature in (one for one in FEATURES if one in wanted):
        stem, about, effect = _EXAMPLES[feature]
        name = unique(stem, used)
        used.append(name)
        found[feature] = Tool(name, title(name), about, effect=effect, idempotent=effect == "reads")
    return found
