"""Which tools of the catalog an agent can call: in a run, and for whoever wants to know without."""

from collections.abc import Iterable, Mapping, Sequence

import anyio

from host.agents.library import Agent
from host.agents.toolbox import OWN_PREFIX, Tool, fits, tools_of
from host.domain.errors import UpstreamError
from host.domain.jsonrpc import RpcError
from host.domain.names import nearest_names
from host.gateway.catalog import Offer
from host.gateway.exchange import Exchange, InnerExchange
from host.gateway.gateway import Gateway
from host.gateway.provider import ToolProvider

HIDDEN = (OWN_PREFIX, "orchestrator__")
"""Tools that only their full name chooses, so that `*` does not make agents call themselves."""

WILD = ("*", "?", "[")
"""Beginnings of patterns that may mean the tools of any server."""

Missed = dict[ToolProvider, UpstreamError | RpcError]
"""Servers whose tools are not to be had, and why."""


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
    wanted = wanted_by(agent)
    inner = InnerExchange(exchange, "agent", agent=agent.name)
    inner.servers = servers
    await await_servers(gateway, inner, wanted)  # a run says what is missing, and why
    return chosen_from(await gateway.catalog.offer(inner, "tools/list"), wanted)


def wanted_by(agent: Agent) -> tuple[str, ...]:
    """Return the patterns of the tools that an agent is given."""
    config = agent.config
    return (*config.tools, *config.servers, *(OWN_PREFIX + name for name in config.agents))


async def await_servers(gateway: Gateway, exchange: Exchange, wanted: Iterable[str]) -> Missed:
    """Return once the servers that patterns name have listed their tools, or cannot.

    Args:
        gateway: The host's.
        exchange: For whom.
        wanted: The patterns.
    """
    catalog, patterns = gateway.catalog, tuple(wanted)
    missed: Missed = {}

    async def ready(server: ToolProvider) -> None:
        try:
            await catalog.listed(server, exchange, "tools/list")
        except (UpstreamError, RpcError) as error:
            missed[server] = error

    named = [
        server
        for server in catalog.enabled(exchange.session, exchange.servers)
        if not server.own and any(_names(pattern, server) for pattern in patterns)
    ]
    if named:
        async with anyio.create_task_group() as group:
            for server in named:
                group.start_soon(ready, server)
    return missed


def chosen_from(offer: Offer, wanted: Sequence[str]) -> list[Tool]:
    """Return the tools of the catalog that patterns choose."""
    shown = [one for one in offer.entries if not one.name.startswith(HIDDEN) or one.name in wanted]
    known = {entry.name: entry.server.name for entry in shown}
    return tools_of((entry.definition for entry in shown), wanted, known)


def not_there(offer: Offer, wanted: Sequence[str], missed: Iterable[ToolProvider]) -> list[str]:
    """Return in words which patterns choose no tool, where that was not told already.

    Args:
        offer: What there is.
        wanted: The patterns.
        missed: Servers that cannot be reached, which is told of each.
    """
    found: list[str] = []
    for pattern in wanted:
        if any(fits(entry.name, entry.server.name, pattern) for entry in offer.entries):
            continue
        if pattern.startswith(WILD) or any(_names(pattern, server) for server in missed):
            continue
        near = nearest_names(pattern, (entry.name for entry in offer.entries))
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        found.append(f"There is no tool {pattern!r}, which the agent's file names.{hint}")
    return found


def _names(pattern: str, server: ToolProvider) -> bool:
    """Whether a pattern asks for a server, or for tools that only that server can have."""
    prefix = server.config.prefix
    beginning = f"{server.name if prefix is None else prefix}__"
    return pattern == server.name or pattern.startswith(beginning)
