"""Code mode: a model writes a short program that calls tools, and reads only what it prints."""

import json

from typing_extensions import override

from host.domain.errors import PluginFailedError, PluginLoadError, PluginTimeoutError
from host.domain.jsonrpc import INVALID_PARAMS, Json, RpcError
from host.domain.protocol import list_member
from host.gateway.catalog import Catalog
from host.gateway.exchange import Exchange
from host.gateway.local import LocalProvider, text_result
from host.gateway.search import rank
from host.gateway.upstream.connection import OnNotice
from host.plugins.broker import PluginBroker
from host.plugins.check import load_problems
from host.plugins.manifest import Capabilities
from host.plugins.path import CallTool, GatewayPath, inside_plugin
from host.plugins.state import NoState
from host.plugins.stubs import Stub, make_stubs, modules_of, render_index, render_modules
from host.sandbox.config import Limits
from host.sandbox.pool import SandboxPool
from host.sandbox.process.result import CallResult

NAME = "host"
"""First part of its tools' names."""

MOST_SECONDS = 300
OUTPUT_BYTES = 32 * 1024
MOST_STUBS = 20

_RUN: Json = {
    "name": "run_code",
    "title": "Run a program that calls tools",
    "description": "Run a short Python program that calls tools, and get only what it prints and "
    "the value of its last expression (or `return`). Better than many single calls: loop, filter "
    "and combine results in the program instead of reading them. Import tools as functions, "
    "`from tools import SERVER` then `SERVER.TOOL(argument=...)`; tool_stubs shows them. They "
    "return plain data and raise host.CallError. No await, files or network; of the standard "
    "library json, re, math, datetime, statistics, collections, itertools and the like.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "code": {"type": "string", "description": "The program."},
            "timeout": {
                "type": "number",
                "description": "Seconds of computing; waiting for tools is not counted.",
                "exclusiveMinimum": 0,
                "maximum": MOST_SECONDS,
                "default": 30,
            },
        },
        "required": ["code"],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": False, "destructiveHint": True, "openWorldHint": True},
}
_STUBS: Json = {
    "name": "tool_stubs",
    "title": "Show tools as Python functions",
    "description": "Show which functions a program for run_code can import. Without arguments: one "
    "line for each tool. With servers, names or a query: full signatures.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "servers": {"type": "array", "items": {"type": "string"}},
            "names": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Such as files.read_text.",
            },
            "query": {"type": "string", "description": "What the tool should do."},
        },
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}


class CodeMode(LocalProvider):
    """Offers `host__run_code` and `host__tool_stubs`.

    Args:
        on_notice: The gateway's.
        catalog: The tools that programs can call.
        call_tool: The gateway's way to them.
        pool: Where processes come from; each program gets one of its own.
    """

    def __init__(
        self, on_notice: OnNotice, *, catalog: Catalog, call_tool: CallTool, pool: SandboxPool
    ) -> None:
        super().__init__(NAME, on_notice)
        self._catalog = catalog
        self._call_tool = call_tool
        self._pool = pool

    @override
    async def tools(self) -> list[Json]:
        return [_RUN, _STUBS]

    @override
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        if name == "tool_stubs":
            return await self._show(exchange, arguments)
        code, timeout = arguments.get("code"), arguments.get("timeout", 30)
        if not isinstance(code, str) or not code.strip():
            raise RpcError(INVALID_PARAMS, "code is missing: the program to run.")
        if not isinstance(timeout, int | float) or not 0 < timeout <= MOST_SECONDS:
            raise RpcError(INVALID_PARAMS, f"timeout is a number of seconds up to {MOST_SECONDS}.")
        try:
            return _rendered(await self._run(exchange, code, float(timeout)))
        except PluginLoadError as error:
            lines = [
                f"line {one.line}: `{one.construct}`: {one.why} {one.instead}"
                if one.line
                else one.why
                for one in load_problems(error)
            ]
            return text_result("The program was not run.\n" + "\n".join(lines), error=True)
        except PluginFailedError as error:
            said = [error.output.rstrip(), *error.trace, error.message.partition(" failed: ")[2]]
            return text_result("\n".join(line for line in said if line), error=True)
        except PluginTimeoutError:
            return text_result(_too_long(float(timeout)), error=True)

    async def _run(self, exchange: Exchange, code: str, seconds: float) -> CallResult:
        broker = PluginBroker(
            "this program",
            Capabilities(tools=("*",)),
            path=GatewayPath(exchange, self._call_tool),
            state=NoState("A program keeps nothing.", next_step="Return it instead."),
        )
        with inside_plugin("host__run_code", exchange):
            worker = await self._pool.start(
                code,
                plugin="program",
                tenant=exchange.session.principal.id,
                broker=broker,
                limits=Limits(output_bytes=OUTPUT_BYTES),
                servers=modules_of(await self._stubs(exchange)),
                entry="main",
            )
            try:
                return await worker.call("main", {}, timeout=seconds, broker=broker)
            finally:
                worker.stop()

    async def _stubs(self, exchange: Exchange) -> list[Stub]:
        offer = await self._catalog.offer(exchange, "tools/list")
        return make_stubs(offer.entries, without=[NAME])

    async def _show(self, exchange: Exchange, arguments: Json) -> Json:
        stubs = await self._stubs(exchange)
        servers = {str(one) for one in list_member(arguments, "servers")}
        names = {str(one).removeprefix("tools.") for one in list_member(arguments, "names")}
        query = arguments.get("query")
        if isinstance(query, str) and query.strip():
            offer = await self._catalog.offer(exchange, "tools/list")
            best = [entry.name for entry in rank(query, offer.entries)][:MOST_STUBS]
            stubs = [stub for stub in stubs if stub.tool in best]
        elif not servers and not names:
            return text_result(render_index(stubs) or "There are no tools.")
        else:
            stubs = [
                stub
                for stub in stubs
                if stub.module in servers
                or stub.tool in names
                or f"{stub.module}.{stub.function}" in names
            ]
        return text_result(render_modules(stubs) or "No tool fits; call it without arguments.")


def _too_long(seconds: float) -> str:
    """Return what a model can do about a program that was ended; it cannot change a setting."""
    words = f"The program had not finished after {seconds:g} s of computing and was ended."
    step = "Shorten it: fewer items at a time, no endless loop; or run it in parts."
    if seconds < MOST_SECONDS:
        step += f" If it needs longer, give a larger `timeout` (up to {MOST_SECONDS})."
    return f"{words} {step}"


def _rendered(result: CallResult) -> Json:
    parts = [result.output.rstrip("\n")] if result.output else []
    if result.value is not None:
        value = result.value
        parts.append(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text_result("\n".join(parts) or "(It printed and returned nothing.)")
