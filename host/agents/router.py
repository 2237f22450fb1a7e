"""Chooses the agent for a message that names none, and says why."""

import re
from collections import Counter
from dataclasses import dataclass

from host.agents.library import Agent, AgentLibrary
from host.domain.errors import NotFoundError
from host.domain.principal import Principal

_WORD = re.compile(r"[^\W_]{3,}")
_ORDINARY = frozenset(  # too common to say what a message is about
    (
        *("about", "agent", "all", "and", "any", "are", "can", "could", "does", "for", "from"),
        *("has", "have", "how", "into", "its", "not", "one", "please", "that", "the", "this"),
        *("was", "were", "what", "which", "who", "why", "with", "without", "you", "your"),
    )
)


@dataclass(frozen=True, slots=True)
class Choice:
    """An agent that was chosen.

    Attributes:
        reason: Why this one, in a sentence.
    """

    agent: str
    reason: str


class Router:
    """Chooses by the words that a message shares with what agents say of themselves.

    No model is asked: the same message always finds the same agent, at no cost.

    Args:
        library: The agents.
    """

    def __init__(self, library: AgentLibrary) -> None:
        self._library = library

    async def choose(self, principal: Principal, message: str) -> Choice:
        """Return the agent for a message.

        Raises:
            NotFoundError: There are no agents.
        """
        agents = self._library.agents()
        if not agents:
            raise NotFoundError("agent", "", next_step="`host agents new NAME` begins one.")
        if len(agents) == 1:
            only = next(iter(agents))
            return Choice(only, f"{only} is the only agent.")
        asked = _words(message)
        for name in agents:
            if re.search(rf"(?<!\w)@?{re.escape(name)}(?!\w)", message):
                return Choice(name, f"The message names {name}.")
        shared = {
            name: sorted(set(asked) & set(_words(_about(agent)))) for name, agent in agents.items()
        }
        best = max(agents, key=lambda name: (len(shared[name]), name == "default"))
        if not shared[best]:
            first = "default" if "default" in agents else next(iter(agents))
            return Choice(first, f"No agent speaks of this, so {first}, the first, is asked.")
        return Choice(best, f"{best} speaks of {', '.join(shared[best])}.")


def _about(agent: Agent) -> str:
    tools = " ".join(agent.config.tools).replace("_", " ")
    return f"{agent.name} {agent.config.description} {tools}"


def _words(text: str) -> Counter[str]:
    """Return the words of a text without endings that only grammar wants."""
    found = (word.lower() for word in _WORD.findall(text))
    return Counter(word.removesuffix("s") for word in found if word not in _ORDINARY)
