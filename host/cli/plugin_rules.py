"""Asks the rules of installed plugins without a daemon, for `host policy explain`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host.plugins.crew import Crew
    from host.policy.facts import Facts
    from host.policy.policy_set import PolicySet
    from host.sandbox.pool import DeclaredFunction


class LocalRules:
    """The rules of one plugin, in processes of this command."""

    def __init__(self, crew: "Crew") -> None:
        self._crew = crew

    @property
    def functions(self) -> "Sequence[DeclaredFunction]":
        """What it declares."""
        return self._crew.functions

    async def settled(self) -> None:
        """It runs."""

    async def ask(
        self, function: str, arguments: dict[str, Any], *, tenant: str, seconds: float
    ) -> Any:  # noqa: ANN401 - JSON
        """Call a function that may only compute."""
        from host.plugins.broker import ComputeOnly

        result = await self._crew.call(
            function, arguments, tenant=tenant, broker=ComputeOnly(), seconds=seconds
        )
        return result.value


def ask_plugins(policy: "PolicySet", facts: "Facts") -> None:
    """Ask the rules in code on which a decision hangs, and add what they say to the facts."""
    names = policy.open_code(facts)
    if names:
        import asyncio

        facts.code.update(asyncio.run(_ask(names, facts)))


async def _ask(names: list[str], facts: "Facts") -> dict[str, bool | str]:
    from host.cli.plugin_author import sandbox_settings
    from host.cli.plugins import open_register
    from host.domain.errors import HostError
    from host.plugins.code import PluginRules
    from host.plugins.crew import Crew
    from host.policy.facts import call_variables
    from host.sandbox.pool import SandboxPool

    wanted = {name.partition(".")[0] for name in names}
    found: dict[str, bool | str] = {}
    running: dict[str, LocalRules] = {}
    register = open_register()
    async with SandboxPool(sandbox_settings()) as pool:
        for entry in register.entries():
            if entry.name in wanted and entry.enabled:
                try:
                    bundle = register.current(entry) if entry.editable else register.approved(entry)
                    running[entry.name] = LocalRules(await Crew.start(pool, bundle))
                except HostError as error:
                    broken = [one for one in names if one.partition(".")[0] == entry.name]
                    found |= dict.fromkeys(broken, str(error))
        rules = PluginRules(lambda: running)
        left = [name for name in names if name not in found]
        who = facts.attempt.principal.id
        return {**found, **await rules.answer(left, call_variables(facts), principal=who)}
