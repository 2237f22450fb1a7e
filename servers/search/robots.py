"""robots.txt by RFC 9309: the longest matching rule of the best matching group decides."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_BYTES = 500_000
"""RFC 9309 asks crawlers to read at least 500 KiB; the rest is ignored."""


@dataclass(frozen=True)
class Rule:
    """One Allow or Disallow line."""

    allow: bool
    path: str

    def matches(self, target: str) -> bool:
        """Tell whether it covers `target`, with `*` for anything and `$` for the end."""
        pieces = self.path.removesuffix("$").split("*")
        return _follows(pieces, target, anchored=self.path.endswith("$"))


def _follows(pieces: list[str], target: str, *, anchored: bool) -> bool:
    """Match pieces in order without a regular expression: a hostile file cannot make it slow."""
    if not target.startswith(pieces[0]):
        return False
    at = len(pieces[0])
    if len(pieces) == 1:
        return at == len(target) or not anchored
    for piece in pieces[1:-1]:
        at = target.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    if anchored:
        return target.endswith(pieces[-1]) and len(target) - len(pieces[-1]) >= at
    return target.find(pieces[-1], at) >= 0


@dataclass(frozen=True)
class Robots:
    """The groups of one robots.txt: lower-case product tokens to rules."""

    groups: dict[str, list[Rule]]

    def allows(self, user_agent: str, url: str) -> bool:
        """Tell whether `user_agent` may fetch `url`."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        match = re.match(r"[A-Za-z_-]+", user_agent)
        token = match[0].lower() if match else "*"
        rules = self.groups.get(token, self.groups.get("*", []))
        best = max(
            (r for r in rules if r.path and r.matches(target)),
            key=lambda r: (len(r.path), r.allow),
            default=None,
        )
        return best is None or best.allow


ALLOW_ALL = Robots({})
DENY_ALL = Robots({"*": [Rule(allow=False, path="/")]})


def parse_robots(text: str) -> Robots:
    """Parse a robots.txt; lines that mean nothing are skipped."""
    groups: dict[str, list[Rule]] = {}
    current: list[str] = []
    naming = False
    for line in text.splitlines():
        name, mark, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not mark:
            continue
        if name == "user-agent":
            current = [*current, value.lower()] if naming else [value.lower()]
            groups.setdefault(value.lower(), [])
            naming = True
        elif name in {"allow", "disallow"}:
            naming = False
            for agent in current:
                groups[agent].append(Rule(name == "allow", value))
    return Robots(groups)
