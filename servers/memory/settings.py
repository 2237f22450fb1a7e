"""The settings of the memory server: those of the memory itself."""

from typing_extensions import override

from host.memory.config import MemoryConfig
from servers.launch import Reach, ServerSettings


class Settings(ServerSettings, MemoryConfig):
    """Remember facts, events, preferences and notes for agents, and find them again."""

    @override
    def reach(self) -> Reach | None:
        """It may have to start PostgreSQL for everybody, which must not be confined with it."""
        return None
