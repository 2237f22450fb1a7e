"""Finds the few rules that may be about a request among many."""

from collections import defaultdict
from collections.abc import Iterable

from host.policy.attempt import Kind
from host.policy.rule import Rule


class RuleIndex:
    """Rules by what they are about: exact names, beginnings of names, servers, or anything.

    Args:
        rules: The rules; each is kept in one place, under the narrowest thing that it names.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._names: defaultdict[str, list[Rule]] = defaultdict(list)
        self._heads: defaultdict[int, defaultdict[str, list[Rule]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._servers: defaultdict[str, list[Rule]] = defaultdict(list)
        self._rest: list[Rule] = []
        for rule in rules:
            self._place(rule)

    def candidates(self, kind: Kind, name: str, server: str | None) -> list[Rule]:
        """Return each rule once that may be about a request."""
        found = [*self._rest, *self._names.get(name, ())]
        if server is not None:
            found += self._servers.get(server, ())
        seen: set[int] = set()
        for length, heads in self._heads.items():
            for rule in heads.get(name[:length], ()):
                if id(rule) not in seen:
                    seen.add(id(rule))
                    found.append(rule)
        return [rule for rule in found if rule.kinds is None or kind in rule.kinds]

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
