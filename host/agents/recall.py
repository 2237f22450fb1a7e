"""What agents recall from the long-term memory before they answer, and what they keep of it."""

import logging
from collections.abc import Callable, Sequence

from host.agents.library import Agent
from host.domain.errors import HostError
from host.domain.principal import Principal
from host.memory.config import MemoryConfig
from host.memory.memory import Memory
from host.memory.record import TIERS, Draft, Filter, Tier
from host.storage.store import Store

log = logging.getLogger(__name__)

_LONGEST = 2_000
_HEADING = "From memory, which may be out of date:"


class Recaller:
    """Reads and writes the memory for agents that have `long_term` on.

    Args:
        store: The database.
        config: How the memory is set.
    """

    def __init__(self, store: Store, config: MemoryConfig | None = None) -> None:
        self._store = store
        self._config = config

    async def recall(
        self, principal: Principal, agent: Agent, content: object, *, told: Callable[[str], bool]
    ) -> str:
        """Return what the memory has for an agent and a message, as a text for the model.

        Args:
            principal: Whose memory it is.
            agent: Who asks; its file says which scopes and tiers, and how many.
            content: The message.
            told: Whether a text is in the conversation already, so that core blocks come once.

        Returns:
            The core blocks, whatever the message is about, and what the search finds besides.
        """
        if not agent.config.memory.long_term:
            return ""
        memory = Memory(self._store, principal, self._config)
        try:
            blocks = await _core_blocks(memory, agent)
            found = await _found(memory, agent, _text(content))
        except HostError as error:
            log.warning("%s recalls nothing: %s", agent.name, error)
            return ""
        core = "\n".join(blocks)
        lines = found if not core or told(core) else [core, *found]
        return "\n".join([_HEADING, *lines]) if lines else ""

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


async def _core_blocks(memory: Memory, agent: Agent) -> list[str]:
    wanted = agent.config.memory
    if wanted.tiers and "core" not in wanted.tiers:
        return []
    blocks = [
        record
        for record in await memory.core.read(agent.name)
        if not wanted.scopes or record.scope in wanted.scopes
    ]
    return [f"<{record.label}>\n{record.text}\n</{record.label}>" for record in blocks]


async def _found(memory: Memory, agent: Agent, text: str) -> list[str]:
    """Return what a message brings to mind, without the core blocks, which are there anyhow."""
    wanted = agent.config.memory
    tiers: tuple[Tier, ...] = tuple(tier for tier in wanted.tiers or TIERS if tier != "core")
    if not text or not wanted.recall or not tiers:
        return []
    terms = Filter(scopes=wanted.scopes, tiers=tiers, agent=agent.name)
    found = await memory.search(text[:_LONGEST], terms, most=wanted.recall)
    return [f"- {hit.record.recorded:%Y-%m-%d}: {hit.record.text}" for hit in found.hits]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts: Sequence[object] = content  # pyright: ignore[reportUnknownVariableType]
        return " ".join(part for part in parts if isinstance(part, str))
    return ""
