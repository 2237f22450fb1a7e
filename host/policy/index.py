"""Finds the few rules that may be about a request among many."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from host.policy.attempt import Kind
from host.policy.facts import Facts, Need
from host.policy.rule import Rule
from host.policy.screen import Screen, Screened, screen_rules

REMEMBERED = 2_000
"""Names whose candidates are kept; when there are more, all are forgotten."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rules that may be about a request, and all that they ask.

    Attributes:
        rules: The rules.
        plain: Those of them that have to be asked in any case.
        screens: The others, which may be ruled out together.
        needs: Parts of the arguments, each once.
        folders: Folders that arguments may be in, each once.
        limited: Those of the rules that have limits.
        coded: Those of the rules that hang on a plugin.
    """

    rules: tuple[Rule, ...]
    plain: tuple[Rule, ...]
    screens: tuple[Screen, ...]
    needs: tuple[Need, ...]
    folders: tuple[str, ...]
    limited: tuple[Rule, ...]
    coded: tuple[Rule, ...] = ()

    def possible(self, facts: Facts) -> Iterator[Rule]:
        """Yield the rules that may be about a call, after a first look at its arguments."""
        yield from self.plain
        for screen in self.screens:
            yield from screen.possible(facts)


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
            index = self._kinds[kind]
            known = self._known[key] = _gathered(index.candidates(name, server), index.rest)
        return known


def _gathered(named: list[Rule], rest: Screened) -> Candidates:
    rules = [*named, *rest.plain, *(rule for screen in rest.screens for rule in screen.rules)]
    return Candidates(
        rules=tuple(rules),
        plain=(*named, *rest.plain),
        screens=rest.screens,
        needs=tuple(dict.fromkeys(need for rule in rules for need in rule.needs)),
        folders=tuple(dict.fromkeys(folder for rule in rules for folder in rule.folders)),
        limited=tuple(rule for rule in rules if rule.limited),
        coded=tuple(rule for rule in rules if rule.code),
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
        self._screened: Screened | None = None
        for rule in rules:
            self._place(rule)

    def candidates(self, name: str, server: str | None) -> list[Rule]:
        """Return each rule once that is about a name or a server and may be about this one."""
        found = [*self._names.get(name, ())]
        if server is not None:
            found += self._servers.get(server, ())
        seen: set[int] = set()
        for length, heads in self._heads.items():
            for rule in heads.get(name[:length], ()):
                if id(rule) not in seen:  # a rule with several names may be in several places
                    seen.add(id(rule))
                    found.append(rule)
        return found

    @property
    def rest(self) -> Screened:
        """The rules that name nothing; put behind screens once, for all names."""
        if self._screened is None:
            self._screened = screen_rules(self._rest)
        return self._screened

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
