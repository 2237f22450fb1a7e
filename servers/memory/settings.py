"""The settings of the memory server: those of the memory itself."""

from host.memory.config import MemoryConfig
from servers.launch import ServerSettings


class Settings(ServerSettings, MemoryConfig):
    """Remember facts, events, preferences and notes for agents, and find them again."""
