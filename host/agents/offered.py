"""Which tools an agent can call, for whoever wants to know without running it."""

from collections.abc import Mapping

import anyio

from host.agents.gateway_tools import HIDDEN
from host.agents.library import Agent
from host.agents.toolbox import OWN_PREFIX, Tool, tools_of
from host.domain.errors import UpstreamError
from host.domain.jsonrpc import RpcError
from host.gateway.exchange import Exchange, InnerExchange
from host.gateway.gateway import Gateway
from host.gateway.provider import ToolProvider


async def offered_tools(
    gateway: Gateway, exchange: Exchange, agent: Agent, servers: Mapping[str, ToolProvider]
) -> list[Tool]:
    """Return the tools that an agent can call; servers that it names are waited for.

    Args:
        gateway: The host's.
        exchange: Who wants to know.
        agent: The agent.
        servers: Its own.
    """
    config = agent.config
    wanted = (*config.tools, *config.servers, *(OWN_PREFIX + name for name in config.agents))
    inner = InnerExchange(exchange, "agent", agent=agent.name)
    inner.servers = servers
    named = {pattern.partition("__")[0] for pattern in wanted}

    async def ready(server: ToolProvider) -> None:
        try:
            await gateway.catalog.listed(server, inner, "tools/list")
        except (UpstreamError, RpcError):
            return  # a run says what is missing, and why

    async with anyio.create_task_group() as group:
        for server in gateway.catalog.enabled(inner.session, servers):
            if server.name in named and not server.own:
                group.start_soon(ready, server)
    offer = await gateway.catalog.offer(inner, "tools/list")
    shown = [one for one in offer.entries if not one.name.startswith(HIDDEN) or one.name in wanted]
    known = {entry.name: entry.server.name for entry in shown}
    return tools_of((entry.definition for entry in shown), wanted, known)
