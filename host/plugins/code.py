"""Hooks, evaluators and rules of installed plugins, for policies, workflows and evaluations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import anyio

from host.domain.errors import HostError, NotFoundError
from host.domain.jsonrpc import Json
from host.gateway.exchange import Exchange
from host.plugins.provider import PluginProvider
from host.plugins.shapes import (
    HookAnswer,
    Kind,
    Score,
    arguments_for,
    read_hook_answer,
    read_score,
    read_verdict,
    stages_of,
)
from host.sandbox.broker import JSON
from host.sandbox.pool import DeclaredFunction

RULE_SECONDS = 5.0
"""Seconds of its own time that a rule may use."""

RULE_WAIT = 15.0
"""Seconds until the rules of one call have to have answered, the start of a process included."""


class RuleSource(Protocol):
    """A plugin whose rules can be asked."""

    @property
    def functions(self) -> Sequence[DeclaredFunction]:
        """What it declares."""
        ...

    async def settled(self) -> None:
        """Wait until it runs, or cannot."""
        ...

    async def ask(self, function: str, arguments: Json, *, tenant: str, seconds: float) -> JSON:
        """Call a function that may only compute, and return what it returns."""
        ...


class PluginRules:
    """Asks rules by `plugin.function`, for policies.

    Args:
        sources: Returns the running plugins by name.
    """

    def __init__(self, sources: Callable[[], Mapping[str, RuleSource]]) -> None:
        self._sources = sources

    async def answer(
        self, names: Sequence[str], call: Mapping[str, Any], *, principal: str
    ) -> Mapping[str, bool | str]:
        """Return what rules say about a call; where one does not, why, in words."""
        found: dict[str, bool | str] = {}

        async def ask(name: str) -> None:
            try:
                found[name] = await self._verdict(name, call, principal)
            except HostError as error:
                found[name] = f"the plugin rule {name} does not say: {error.message.rstrip('.')}"

        with anyio.move_on_after(RULE_WAIT):
            async with anyio.create_task_group() as tasks:
                for name in names:
                    tasks.start_soon(ask, name)
        late = {one: f"the plugin rule {one} did not answer in {RULE_WAIT:g} s" for one in names}
        return late | found

    async def _verdict(self, name: str, call: Mapping[str, Any], principal: str) -> bool:
        source = find_plugin(self._sources(), "rule", name)
        await source.settled()
        function = find_function(source, "rule", name)
        # A process of its own: what a tool of the plugin was told cannot bear on a decision.
        value = await source.ask(
            function.name,
            arguments_for(function, call),
            tenant=f"rules:{principal}",
            seconds=RULE_SECONDS,
        )
        return read_verdict(value)


class PluginCode(PluginRules):
    """Calls functions of running plugins that are no tools, by `plugin.function`.

    Args:
        providers: Returns the running plugins by name.
    """

    def __init__(self, providers: Callable[[], Mapping[str, PluginProvider]]) -> None:
        super().__init__(providers)
        self._providers = providers

    def declared(self, kind: Kind, *, stage: str | None = None) -> list[str]:
        """Return the functions of a kind that the running plugins have.

        Args:
            kind: `hook`, `evaluator` or `rule`.
            stage: Only hooks for this moment of a step.
        """
        return [
            f"{plugin}.{function.name}"
            for plugin, provider in self._providers().items()
            for function in provider.functions
            if function.kind == kind and (stage is None or stage in stages_of(function))
        ]

    async def call_hook(
        self, name: str, event: Mapping[str, JSON], *, exchange: Exchange
    ) -> HookAnswer:
        """Call a hook about a step.

        Args:
            name: `plugin.function`.
            event: Its stage, step, run, input, output and error, as far as there are any.
            exchange: On whose behalf; the tools that it calls take the one path.

        Raises:
            NotFoundError: There is no such hook.
            SandboxError: It failed, took too long, or returned what no hook does.
        """
        return read_hook_answer(await self._call("hook", name, event, exchange))

    async def evaluate(self, name: str, case: Mapping[str, JSON], *, exchange: Exchange) -> Score:
        """Return what an evaluator says of an output.

        Args:
            name: `plugin.function`.
            case: The output, and the input, expected and context, as far as there are any.
            exchange: On whose behalf; the tools that it calls take the one path.

        Raises:
            NotFoundError: There is no such evaluator.
            SandboxError: It failed, took too long, or returned what no evaluator does.
        """
        return read_score(await self._call("evaluator", name, case, exchange))

    async def _call(
        self, kind: Kind, name: str, members: Mapping[str, JSON], exchange: Exchange
    ) -> JSON:
        provider = find_plugin(self._providers(), kind, name)
        await provider.settled()
        function = find_function(provider, kind, name)
        arguments = arguments_for(function, members)
        return (await provider.run(exchange, function.name, arguments)).value


Plugin = TypeVar("Plugin", bound=RuleSource)


def find_plugin(plugins: Mapping[str, Plugin], kind: Kind, name: str) -> Plugin:
    """Return the plugin that `plugin.function` names.

    Raises:
        NotFoundError: It does not run.
    """
    plugin = name.partition(".")[0]
    if plugin not in plugins:
        step = f"Install and enable the plugin {plugin} for its {kind}s."
        raise NotFoundError("running plugin", plugin, plugins, next_step=step)
    return plugins[plugin]


def find_function(source: RuleSource, kind: Kind, name: str) -> DeclaredFunction:
    """Return the function that `plugin.function` names.

    Raises:
        NotFoundError: The plugin marks none of that name with `@kind`.
    """
    plugin, _, wanted = name.partition(".")
    of_kind = {one.name: one for one in source.functions if one.kind == kind}
    if wanted not in of_kind:
        raise NotFoundError(f"{kind} of the plugin {plugin}", wanted, of_kind)
    return of_kind[wanted]
