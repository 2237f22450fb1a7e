"""The settings of the memory server: those of the memory itself."""

from typing_extensions import override

from host.memory.config import MemoryConfig
from servers.launch import Reach, ServerSettings
from servers.store_reach import embedder_reach, joined, prepare_store, store_reach


class Settings(ServerSettings, MemoryConfig):
    """Remember facts, events, preferences and notes for agents, and find them again."""

    @override
    def reach(self) -> Reach:
        """The store, and the embedder if there is one."""
        return joined(store_reach(), embedder_reach(self.embedder))

    @override
    def prepare_confinement(self) -> None:
        """Split off who starts PostgreSQL, which must not be confined with it."""
        prepare_store()
