"""Choosing some of what a source has, by patterns; one that chooses nothing is an error."""

import difflib
import fnmatch
from collections.abc import Iterable, Sequence

from generator.errors import GeneratorError
from generator.literal import one_line


def is_chosen(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a name is among what patterns choose: everything where there are none."""
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def check_choice(patterns: Sequence[str], names: Iterable[str], what: str) -> None:
    """Refuse a pattern that chooses none of some names.

    Args:
        patterns: What was asked for.
        names: What there is.
        what: What the names are of, such as `subcommand of git`.

    Raises:
        GeneratorError: Which pattern it is, and the nearest names.
    """
    listed = sorted(set(names))
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in listed):
            raise GeneratorError(
                f"There is no {what} like {one_line(pattern, 60)!r}.",
                next_step=_nearest(pattern.strip("*?"), listed),
            )


def _nearest(wrong: str, names: Sequence[str]) -> str:
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(wrong.lower(), lower, n=5, cutoff=0.5)
    near = near or [one for one in lower if wrong and wrong.lower() in one][:5]
    shown = [lower[one] for one in near] or names[:12]
    said = ", ".join(one_line(name, 60) for name in shown)
    if near:
        return f"Nearest are {said}."
    more = ", …" if len(names) > 12 else ""
    return f"There are {said}{more}." if said else "There is none at all."
