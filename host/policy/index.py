"""Finds the few rules that may be about a request among many."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from host.policy.attempt import Kind
from host.policy.facts import Need
from host.policy.rule import Rule

REMEMBERED = 2_000
"""Names whose candidates are kept; when there are more, all are forgotten."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rules that may be about a request, and all that they ask.

    Attributes:
        rules: The rules.
        needs: Parts of the arguments, each once.
        folders: Folders that arguments may be in, each once.
        limited: Those of the rules that have limits.
    """

    rules: tuple[Rule, ...]
    needs: tuple[Need, ...]
    folders: tuple[str, ...]
    limited: tuple[Rule, ...]


class RuleIndex:
    """Rules by what they are about: the kind of request, then names, beginnings of names, servers.

    Args:
        rules: The rules; for each kind, each is kept under the narrowest thing that it names.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        kinds: tuple[Kind, ...] = get_args(Kind)
        self._kinds = {
            kind: _KindIndex(rule for rule in rules if rule.kinds is None or kind in rule.kinds)
            for kind in kinds
        }
        self._known: dict[tuple[Kind, str, str | None], Candidates] = {}

    def candidates(self, kind: Kind, name: str, server: str | None) -> Candidates:
        """Return the rules that may be about a request, each once."""
        key = (kind, name, server)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[key] = _gathered(self._kinds[kind].candidates(name, server))
        return known


def _gathered(rules: list[Rule]) -> Candidates:
    return Candidates(
        rules=tuple(rules),
        needs=tuple(dict.fromkeys(need for rule in rules for need in rule.needs)),
        folders=tuple(dict.fromkeys(folder for rule in rules for folder in rule.folders)),
        limited=tuple(rule for rule in rules if rule.limited),
    )


class _KindIndex:
    """Rules about one kind of request."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._names: defaultdict[str, list[Rule]] = defaultdict(list)
        self._heads: defaultdict[int, defaultdict[str, list[Rule]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._servers: defaultdict[str, list[Rule]] = defaultdict(list)
        self._rest: list[Rule] = []
        for rule in rules:
            self._place(rule)

    def candidates(self, name: str, server: str | None) -> list[Rule]:
        """Return each rule once that may be about a name and a server."""
        found = [*self._rest, *self._names.get(name, ())]
        if server is not None:
            found += self._servers.get(server, ())
        seen: set[int] = set()
        for length, heads in self._heads.items():
            for rule in heads.get(name[:length], ()):
                if id(rule) not in seen:  # a rule with several names may be in several places
                    seen.add(id(rule))
                    found.append(rule)
        return found

    def _place(self, rule: Rule) -> None:
        names, servers = rule.names, rule.servers
        heads = None if names is None else names.heads()
        if names is not None and len(names.exact) == len(set(names.texts)):
            for name in names.exact:
                self._names[name].append(rule)
        elif heads is not None:
            for head in set(heads):
                self._heads[len(head)][head].append(rule)
        elif servers is not None and len(servers.exact) == len(set(servers.texts)):
            for server in servers.exact:
                self._servers[server].append(rule)
        else:
            self._rest.append(rule)
