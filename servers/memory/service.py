"""Opens the store behind the handshake, lets calls wait for it with progress, and keeps vectors."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
from fastmcp.server.dependencies import get_context

from host.config.environment import child_place
from host.domain.errors import EmbedderError, HostError, StoreError
from host.domain.principal import Principal
from host.memory.config import MemoryConfig
from host.memory.memory import Memory
from host.storage.store import Store, open_store
from servers.store import await_store
from servers.tool import RefusalError

log = logging.getLogger(__name__)
T = TypeVar("T")

_RETRY_EVERY = 60.0
"""Seconds after which an embedder that failed is asked again."""


class Service:
    """The memory of the user whose server this is.

    Args:
        config: How the memory is set.
    """

    def __init__(self, config: MemoryConfig) -> None:
        self._config = config
        self._memory: Memory | None = None
        self._store: Store | None = None
        self._wake = anyio.Event()
        self.progress: tuple[int, int] | None = None
        """How many of how many vectors are made; None when nothing is being done."""
        self.trouble = ""
        """Why vectors cannot be made at the moment."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve until the end of the block; nothing is opened before the first call."""
        place = child_place()
        self._store = await open_store(place.url, place.data)
        principal = Principal(place.user, "memory")
        self._memory = Memory(self._store, principal, self._config)
        # A task and not a task group: FastMCP may leave a lifespan in another task than it entered.
        upkeep = asyncio.create_task(self._upkeep(), name="keep up the memory")
        try:
            yield
        finally:
            upkeep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await upkeep
            await self._store.close()

    async def run(self, work: Callable[[Memory], Awaitable[T]]) -> T:
        """Do something with the memory, waiting for the store as long as that is bearable.

        Raises:
            RefusalError: What went wrong, and what to do next.
        """
        if self._memory is None or self._store is None:
            raise RefusalError("The memory server has ended.")
        try:
            await await_store(self._store, get_context())
            self._wake.set()
            return await work(self._memory)
        except HostError as error:
            raise RefusalError(error.message, error.next_step or "") from error

    async def _upkeep(self) -> None:
        """Purge what was forgotten long ago, and give vectors to records that have none."""
        if self._memory is None:
            return
        purged = False
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            try:
                if not purged:
                    await self._memory.purge_expired()
                    purged = True
                await self._memory.catch_up(self._tell)
                self.trouble = ""
            except EmbedderError as error:
                self.trouble = str(error)
                log.warning("Vectors wait: %s", error)
                await anyio.sleep(_RETRY_EVERY)
                self._wake.set()
            except StoreError as error:
                log.warning("The memory is not kept up: %s", error)
            finally:
                self.progress = None

    async def _tell(self, done: int, total: int) -> None:
        self.progress = (done, total)
        log.info("%d of %d memories have vectors", done, total)
