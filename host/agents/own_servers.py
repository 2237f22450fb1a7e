"""Tool servers of agents' own files: started when their agent is first used, seen by it alone."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from host.agents.library import Agent
from host.config.layers import AGENT_LABEL
from host.config.servers import ServerConfig
from host.domain.errors import ConfigError
from host.gateway.provider import ToolProvider

Make = Callable[[str, ServerConfig], ToolProvider]
"""Makes a server of its name and configuration."""


@dataclass(frozen=True, slots=True)
class _Made:
    configs: Mapping[str, ServerConfig]
    servers: Mapping[str, ToolProvider]


class OwnServers:
    """The servers that agents bring along.

    Args:
        make: Makes a server.
        taken: Returns the servers that everybody sees, by name.
    """

    def __init__(self, make: Make, taken: Callable[[], Mapping[str, ToolProvider]]) -> None:
        self._make, self._taken = make, taken
        self._made: dict[str, _Made] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, agent: Agent) -> Mapping[str, ToolProvider]:
        """Return an agent's servers by name; made anew once its file says something else.

        Raises:
            ConfigError: Everybody has a server of one of the names, to which policies refer.
        """
        made = self._made.get(agent.name)
        if made is None or made.configs != agent.config.servers:
            both = sorted(set(agent.config.servers) & set(self._taken()))
            if both:
                raise ConfigError(
                    f"The agent {agent.name} has a server {both[0]!r} of its own, and so has the "
                    "host.",
                    file=agent.file,
                    field=f"servers.{both[0]}",
                    next_step="Give it another name, or use the host's in `tools`.",
                )
            configs = agent.config.servers
            fresh = _Made(
                configs, {name: self._make(name, _owned(configs[name])) for name in configs}
            )
            self._made[agent.name] = fresh
            if made is not None:
                self._end(made)
            made = fresh
        return made.servers

    def every(self) -> Iterator[ToolProvider]:
        """Yield all of them."""
        for made in list(self._made.values()):
            yield from made.servers.values()

    async def close(self) -> None:
        """End all of them."""
        for made in self._made.values():
            self._end(made)
        self._made.clear()
        if self._closing:
            await asyncio.wait(self._closing)

    def _end(self, made: _Made) -> None:
        for server in made.servers.values():
            task = asyncio.create_task(server.close(), name=f"close {server.name}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _owned(config: ServerConfig) -> ServerConfig:
    return config.model_copy(update={"labels": (*config.labels, AGENT_LABEL)})
