"""URI templates (RFC 6570), as far as it takes to say whose template a URI belongs to.

Templates come from untrusted servers, so matching is a walk over sets of positions, linear in the
URI for each part of the template, and never a backtracking regular expression.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

LONGEST_URI = 8192
"""Characters that a URI may have to be matched at all."""
_EXPRESSION = re.compile(r"\{([+#./;?&]?)([^{}]*)\}")
_STOPS = "/?#&,"
"""Characters that a plain expansion percent-encodes, and so never contains."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that stands in the URI as it stands in the template."""

    text: str

    def advance(self, uri: str, positions: set[int]) -> set[int]:
        """Return where a match may go on."""
        size = len(self.text)
        return {at + size for at in positions if uri.startswith(self.text, at)}


@dataclass(frozen=True, slots=True)
class Hole:
    """An expression.

    Attributes:
        lead: Character that its expansion begins with; without one it may be empty.
        stops: Characters that its expansion does not contain.
    """

    lead: str
    stops: str

    def advance(self, uri: str, positions: set[int]) -> set[int]:
        """Return where a match may go on."""
        reached: set[int] = set(positions)
        for at in sorted(positions):
            if self.lead and not uri.startswith(self.lead, at):
                continue
            end = at + len(self.lead)
            reached.add(end)
            while end < len(uri) and uri[end] not in self.stops:
                end += 1
                if end in reached and not self.lead:
                    break
                reached.add(end)
        return reached


@dataclass(frozen=True, slots=True)
class UriTemplate:
    """A parsed template: its literal texts and expressions in order."""

    parts: tuple[Literal | Hole, ...]

    @classmethod
    def parse(cls, template: str) -> "UriTemplate":
        """Return the template of a text; unbalanced braces stand for themselves."""
        return _parse(template)

    def matches(self, uri: str) -> bool:
        """Whether a URI may be an expansion of the template."""
        if len(uri) > LONGEST_URI:
            return False
        positions = {0}
        for part in self.parts:
            positions = part.advance(uri, positions)
            if not positions:
                return False
        return len(uri) in positions


@lru_cache(maxsize=4096)
def _parse(template: str) -> UriTemplate:
    parts: list[Literal | Hole] = []
    end = 0
    for expression in _EXPRESSION.finditer(template):
        parts.append(Literal(template[end : expression.start()]))
        parts.append(_hole(expression.group(1), expression.group(2)))
        end = expression.end()
    parts.append(Literal(template[end:]))
    return UriTemplate(tuple(parts))


def _hole(operator: str, names: str) -> Hole:
    several = "*" in names or "," in names
    if operator in ("", "+"):
        return Hole("", "" if operator or several else _STOPS)
    if operator in "?&":
        return Hole(operator, "#")
    return Hole(operator, "" if several or operator == "#" else _STOPS)
