"""What agents recall from the long-term memory before they answer, and what they keep of it."""

import logging
from collections.abc import Sequence

from host.agents.library import Agent
from host.domain.errors import HostError
from host.domain.principal import Principal
from host.memory.config import MemoryConfig
from host.memory.memory import Memory
from host.memory.record import Draft, Filter
from host.storage.store import Store

log = logging.getLogger(__name__)

_LONGEST = 2_000


class Recaller:
    """Reads and writes the memory for agents that have `long_term` on.

    Args:
        store: The database.
        config: How the memory is set.
    """

    def __init__(self, store: Store, config: MemoryConfig | None = None) -> None:
        self._store = store
        self._config = config

    async def recall(self, principal: Principal, agent: Agent, content: object) -> str:
        """Return what the memory has to a message, as a text for the model; empty if nothing."""
        wanted = agent.config.memory
        text = _text(content)
        if not wanted.long_term or not wanted.recall or not text:
            return ""
        memory = Memory(self._store, principal, self._config)
        terms = Filter(scopes=wanted.scopes, tiers=wanted.tiers, agent=agent.name)
        try:
            found = await memory.search(text[:_LONGEST], terms, most=wanted.recall)
        except HostError as error:
            log.warning("%s recalls nothing: %s", agent.name, error)
            return ""
        lines = [f"- {hit.record.recorded:%Y-%m-%d}: {hit.record.text}" for hit in found.hits]
        return "From memory, which may be out of date:\n" + "\n".join(lines) if lines else ""

    async def keep(self, principal: Principal, agent: Agent, content: object, answer: str) -> None:
        """Remember that a message was answered."""
        text = _text(content)
        if not agent.config.memory.long_term or not text:
            return
        said = f"User: {text[:_LONGEST]}\n{agent.name}: {answer[:_LONGEST]}"
        draft = Draft(said, "event", "agent", agent.name, tier="recall", source="conversation")
        try:
            await Memory(self._store, principal, self._config).remember(draft)
        except HostError as error:
            log.warning("%s keeps nothing: %s", agent.name, error)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts: Sequence[object] = content  # pyright: ignore[reportUnknownVariableType]
        return " ".join(part for part in parts if isinstance(part, str))
    return ""
