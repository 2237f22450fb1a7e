"""Globs that callers give, matched against paths below the folder they start in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from servers.files.beneath import Parts
from servers.files.gitignore import translate_glob
from servers.tool import RefusalError

_MOST_ALTERNATIVES = 64


@dataclass(frozen=True)
class Globs:
    """Several globs, any of which may match."""

    names: re.Pattern[str] | None
    """Those without a slash: matched against the name, in every folder."""
    paths: re.Pattern[str] | None
    """Those with one: matched against the path from the start."""

    def match(self, parts: Parts) -> bool:
        """Whether a path, from the start on, matches."""
        if self.names is not None and self.names.fullmatch(parts[-1]):
            return True
        return self.paths is not None and self.paths.fullmatch("/".join(parts)) is not None


def parse_globs(globs: Sequence[str]) -> Globs:
    """Read globs with `*`, `?`, `[a-z]`, `{a,b}` and `**`.

    A glob without a slash is about names in every folder; `/*.md` is about the start alone.

    Raises:
        RefusalError: Which glob is wrong.
    """
    names: list[str] = []
    paths: list[str] = []
    for glob in globs:
        for plain in _expand_braces(glob):
            try:
                source = translate_glob(plain.removeprefix("/").removesuffix("/"))
                re.compile(source)
            except re.error as error:
                raise RefusalError(f"{glob!r} is not a glob: {error}.") from error
            (paths if "/" in plain.rstrip("/") else names).append(source)
    return Globs(_either(names), _either(paths))


def _either(sources: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(sources), re.DOTALL) if sources else None


def _expand_braces(glob: str) -> list[str]:
    """Write out `{a,b}`; a glob without it is itself."""
    done: list[str] = []
    todo = [glob]
    while todo:
        if len(todo) + len(done) > _MOST_ALTERNATIVES:
            raise RefusalError(f"{glob!r} stands for too many globs.", "Use fewer braces.")
        current = todo.pop(0)
        match = re.search(r"\{([^{}]*,[^{}]*)\}", current)
        if match is None:
            done.append(current)
            continue
        head, tail = current[: match.start()], current[match.end() :]
        todo.extend(head + choice + tail for choice in match[1].split(","))
    return done
