"""What every bundled server is: a FastMCP server whose calls take the short way.

FastMCP's way of a call serves tools that come and go, per session, behind proxies and extensions.
None of that happens here, and it is more than half of what a small call costs.
"""

import logging
from typing import Any

from fastmcp import Context, FastMCP
from fastmcp.exceptions import FastMCPError, ToolError
from fastmcp.exceptions import ValidationError as ArgumentsError
from fastmcp.server.context import reset_transport, set_transport
from fastmcp.server.middleware.dereference import DereferenceRefsMiddleware
from fastmcp.tools import Tool, ToolResult
from fastmcp.utilities.logging import temporary_log_level
from fastmcp.utilities.versions import VersionSpec
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError
from typing_extensions import override

from servers.pipes import are_pipes, standard_pipes
from servers.tool import RefusalError

log = logging.getLogger(__name__)


class BundledServer(FastMCP[Any]):
    """A server whose tools are all there when it starts, and the same for everybody."""

    _found: dict[str, Tool]

    @override
    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        version: VersionSpec | None = None,
        run_middleware: bool = True,
    ) -> ToolResult:
        """Call a tool; arguments that do not fit are named in one line."""
        tool = await self._find(name) if version is None and run_middleware else None
        try:
            if tool is None:
                return await super().call_tool(
                    name, arguments, version=version, run_middleware=run_middleware
                )
            return await self._run(tool, arguments or {})
        except (ArgumentsError, ValidationError) as error:
            raise _explain(name, error) from None

    async def _find(self, name: str) -> Tool | None:
        """Return a tool by its name; None if the call has to take the long way."""
        found = self.__dict__.setdefault("_found", {})
        if name not in found:
            if not all(isinstance(m, DereferenceRefsMiddleware) for m in self.middleware):
                return None  # a middleware that may have to do with calls
            tool = await self.get_tool(name)
            if tool is None:
                return None
            found[name] = tool
        return found[name]

    async def _run(self, tool: Tool, arguments: dict[str, Any]) -> ToolResult:
        try:
            async with Context(fastmcp=self):
                return await tool.run(arguments)
        except (FastMCPError, ValidationError, MCPError):
            raise
        except Exception as error:
            log.exception("Error calling tool %r", tool.name)
            raise ToolError(f"Error calling tool {tool.name!r}: {error}") from error

    @override
    async def run_stdio_async(
        self, show_banner: bool = True, log_level: str | None = None, stateless: bool = False
    ) -> None:
        """Serve standard input and output, without threads where they are pipes."""
        if not are_pipes():
            await super().run_stdio_async(show_banner, log_level, stateless)
            return
        token = set_transport("stdio")
        try:
            with temporary_log_level(log_level):
                async with (
                    self._lifespan_manager(),
                    standard_pipes() as files,
                    stdio_server(*files) as streams,
                ):
                    options = self._mcp_server.create_initialization_options()
                    await self._mcp_server.run(*streams, options)
        finally:
            reset_transport(token)


def _explain(name: str, error: Exception) -> Exception:
    """Say in one line which arguments do not fit."""
    cause = error if isinstance(error, ValidationError) else error.__cause__
    if not isinstance(cause, ValidationError):
        return error
    said = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in cause.errors())
    return RefusalError(
        f"The arguments of {name!r} do not fit: {said}.", "The tool's input schema says what fits."
    )
