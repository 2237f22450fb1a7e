"""Names that people type and models call: look-alikes for error messages."""

import difflib
from collections.abc import Iterable


def nearest_names(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Return up to `most` known names that look like `name`, best first.

    A known name that contains the given one, or the reverse, counts as near whatever its length.
    """
    names = list(known)
    folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=most, cutoff=0.6)
    found = [folded[match] for match in close]
    wanted = name.casefold()
    for key, candidate in folded.items():
        if len(found) >= most:
            break
        if candidate not in found and wanted and (wanted in key or key in wanted):
            found.append(candidate)
    return found
