"""Conditions in code: rules that plugins declare, asked before a decision that hangs on them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from host.policy.answer import Answer
from host.policy.condition import Condition
from host.policy.facts import Facts

Findings = Mapping[str, bool | str]
"""`plugin.function` → what it returned, or in words why there is no answer."""


class RuleCode(Protocol):
    """Asks plugins; its one method never raises because of a plugin, and never takes long."""

    async def answer(
        self, names: Sequence[str], call: Mapping[str, Any], *, principal: str
    ) -> Findings:
        """Return what rules in code say about a call.

        Args:
            names: `plugin.function` of each.
            call: What is known of the call, by the names that CEL conditions have for it.
            principal: On whose behalf they run; the processes of two are never shared.
        """
        ...


def coded(name: str) -> Condition:
    """Return the condition that a plugin's rule holds; where it does not say, nobody can tell."""

    def check(facts: Facts) -> Answer:
        found = facts.code.get(name)
        if isinstance(found, bool):
            return Answer.YES if found else Answer.NO
        return Answer.UNKNOWN

    def shown(facts: Facts) -> str:
        found = facts.code.get(name, "it is asked when the call is made")
        return f"it returned {found}" if isinstance(found, bool) else found

    return Condition(f"plugin: {name}", check, shown)
