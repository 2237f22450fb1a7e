"""One installed plugin as the catalog sees it: its tools under `plugin__tool`."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from typing_extensions import override

from host.config.sandbox import PluginsConfig
from host.domain.errors import NotFoundError, PluginFailedError, SandboxError
from host.domain.jsonrpc import INVALID_PARAMS, Json, RpcError, as_object
from host.gateway.exchange import Exchange
from host.gateway.local import LocalProvider, text_result
from host.gateway.upstream.connection import OnNotice
from host.plugins.broker import ComputeOnly, PluginBroker
from host.plugins.bundle import Bundle
from host.plugins.crew import Crew
from host.plugins.log import PluginLog
from host.plugins.manifest import Capabilities, Manifest
from host.plugins.path import CallTool, GatewayPath, inside_plugin
from host.plugins.state import DatabaseState, NoState, RequestTaint
from host.sandbox.broker import JSON, StateStore
from host.sandbox.pool import DeclaredFunction
from host.sandbox.process.result import CallResult
from host.storage.store import Store
from host.taint.session import SessionTaint
from host.taint.store import TaintStore


@dataclass(frozen=True, slots=True)
class PluginSurroundings:
    """What every plugin of a daemon uses.

    Attributes:
        store: The database.
        call_tool: The gateway's way to a tool.
        on_notice: Takes notifications; the gateway's.
        config: Returns the settings in force.
        taint: Keeps the labels that sessions have met.
    """

    store: Store
    call_tool: CallTool
    on_notice: OnNotice
    config: Callable[[], PluginsConfig]
    taint: TaintStore


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a plugin that runs.

    Attributes:
        bundle: Its files.
        crew: Its processes.
    """

    bundle: Bundle
    crew: Crew


class PluginProvider(LocalProvider):
    """Offers the tools of one plugin; lists wait until its first version runs, or cannot.

    Args:
        name: The plugin's name.
        around: What it uses of the daemon.
        log: Its log.
    """

    def __init__(self, name: str, around: PluginSurroundings, log: PluginLog) -> None:
        super().__init__(name, around.on_notice)
        self.version: Version | None = None
        self.log = log
        self._around = around
        self._settled = asyncio.Event()

    @property
    def functions(self) -> Sequence[DeclaredFunction]:
        """What it declares: tools, hooks, evaluators and rules."""
        return self.version.crew.functions if self.version else ()

    def replace(self, bundle: Bundle, crew: Crew) -> None:
        """Put a version into force; calls under way end in the one before."""
        before, self.version = self.version, Version(bundle, crew)
        self.config = self.config.model_copy(update={"labels": bundle.manifest.labels})
        self.settle()
        if before is not None:
            before.crew.retire()
        self.changed()

    def settle(self) -> None:
        """Answer whoever waits for the first version, also where there will be none."""
        self._settled.set()

    async def settled(self) -> None:
        """Wait until its first version runs, or cannot."""
        await self._settled.wait()

    async def ask(self, function: str, arguments: Json, *, tenant: str, seconds: float) -> JSON:
        """Call a function that may only compute, and return what it returns.

        Args:
            function: Its name.
            arguments: By parameter.
            tenant: Whose process it runs in.
            seconds: What it may use at most.

        Raises:
            SandboxError: It failed, died, took too long or asked for anything.
        """
        if self.version is None:
            raise SandboxError(f"The plugin {self.name} does not run; see `host plugins list`.")
        try:
            result = await self.version.crew.call(
                function, arguments, tenant=tenant, broker=ComputeOnly(self.log), seconds=seconds
            )
        except SandboxError as error:
            self.log.write("error", str(error))
            raise
        self._log_output(result.output)
        return result.value

    @override
    async def tools(self) -> list[Json]:
        await self._settled.wait()
        version = self.version
        if version is None:
            return []
        granted = version.bundle.manifest.capabilities
        return [_definition(one, granted) for one in self.functions if one.kind == "tool"]

    @override
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        if not any(one.name == name and one.kind == "tool" for one in self.functions):
            raise RpcError(INVALID_PARAMS, f"The plugin {self.name} has no tool {name}.")
        try:
            result = await self.run(exchange, name, arguments)
        except PluginFailedError as error:
            return text_result(str(error), error=True)
        return render_value(result.value)

    async def run(self, exchange: Exchange, function: str, arguments: Json) -> CallResult:
        """Call a function of any kind on behalf of a request.

        Raises:
            NotFoundError: It declares no such function.
            SandboxError: It failed, died, took too long or sent what it must not.
        """
        names = [one.name for one in self.functions]
        if function not in names or self.version is None:
            raise NotFoundError(f"function of the plugin {self.name}", function, names)
        broker = self._broker(exchange, self.version.bundle.manifest)
        crew, tenant = self.version.crew, exchange.session.principal.id
        try:
            with inside_plugin(self.name, exchange):
                result = await crew.call(function, arguments, tenant=tenant, broker=broker)
        except PluginFailedError as error:
            self._log_output(error.output)
            self.log.write("error", "\n".join([error.message, *error.trace]))
            raise
        except SandboxError as error:
            self.log.write("error", str(error))
            raise
        self._log_output(result.output)
        return result

    @override
    async def close(self) -> None:
        version, self.version = self.version, None
        self.settle()
        if version is not None:
            version.crew.retire()

    def _log_output(self, output: str) -> None:
        if output:
            self.log.write("debug", output)

    def _broker(self, exchange: Exchange, manifest: Manifest) -> PluginBroker:
        secrets = self._around.config().secrets
        return PluginBroker(
            self.name,
            manifest.capabilities,
            path=GatewayPath(exchange, self._around.call_tool),
            state=self._state(exchange, manifest),
            log=self.log,
            secrets={name: one.get_secret_value() for name, one in secrets.items()},
        )

    def _state(self, exchange: Exchange, manifest: Manifest) -> StateStore:
        if not manifest.capabilities.state:
            return NoState(
                f"The plugin {self.name} may not keep values.",
                next_step="Its manifest would have to say `capabilities: {state: true}`.",
            )
        return DatabaseState(
            self._around.store,
            self.name,
            principal=exchange.session.principal,
            quota=manifest.limits.state_kb * 1024,
            taint=RequestTaint(
                exchange.taint or SessionTaint(self._around.taint, exchange.session.principal.id)
            ),
        )


def _definition(function: DeclaredFunction, granted: Capabilities) -> Json:
    """Return a tool's definition; its hints are the host's own conclusion, not its author's.

    What a tool calls is decided as itself, so the tool is harmless apart from what it keeps.
    """
    hints = {"readOnlyHint": True} if granted.nothing else {"destructiveHint": False}
    return {
        "name": function.name,
        "description": function.description,
        "inputSchema": {"type": "object", **function.parameters},
        "annotations": {**hints, "openWorldHint": False},
    }


def render_value(value: JSON) -> Json:
    """Return the result of a tool that returned a JSON value."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text_result(text, as_object(value))
