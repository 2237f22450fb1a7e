"""What every part of the memory works with: the store, whose memory it is, how it is set."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import psycopg

from host.domain.errors import EmbedderError, MemoryRecordError
from host.domain.principal import Principal
from host.memory.config import MemoryConfig
from host.memory.embedder import Embedder, Purpose, TruncatingEmbedder, Vector, create_embedder
from host.storage.store import READY_LIMIT, Database, Store


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors, or why there are none.

    Attributes:
        vectors: One for each text; None if they could not be had.
        note: Why not, for the reader; empty if they are there or no embedder is set.
    """

    vectors: list[Vector] | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """One user's way to the memory.

    Attributes:
        embedder: Makes vectors; None leaves search to words.
    """

    store: Store
    principal: Principal
    config: MemoryConfig
    embedder: Embedder | None

    @classmethod
    def of(
        cls,
        store: Store,
        principal: Principal,
        config: MemoryConfig,
        *,
        embedder: Embedder | None = None,
    ) -> "Access":
        """Return a user's access, with the configured embedder unless one is given."""
        if embedder is None and config.embedder is not None:
            embedder = TruncatingEmbedder(create_embedder(config.embedder))
        return cls(store, principal, config, embedder)

    @property
    def user(self) -> str:
        """Whose memory it is."""
        return self.principal.user

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Database]:
        """Yield a transaction that sees what this user may see.

        Raises:
            MemoryRecordError: PostgreSQL refused a value; nothing was written.
        """
        try:
            async with self.store.transaction(self.principal, deadline=READY_LIMIT) as database:
                yield database
        except psycopg.errors.UniqueViolation as error:
            raise MemoryRecordError(
                f"There is one of this name already: {error.diag.message_detail}",
                next_step="Rename or forget one of the two.",
            ) from error
        except (psycopg.DataError, psycopg.errors.CheckViolation) as error:
            raise MemoryRecordError(
                f"PostgreSQL cannot keep this: {error}",
                next_step="Leave out NUL characters, and keep numbers and dates in their range.",
            ) from error

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Embedded:
        """Return vectors within the configured time; a failure is a note, since words remain."""
        if self.embedder is None or not texts:
            return Embedded(None)
        seconds = self.config.embed_seconds
        try:
            with anyio.fail_after(seconds):
                return Embedded(await self.embedder.embed(texts, purpose))
        except TimeoutError:
            return Embedded(None, f"The embedder did not answer within {seconds:g} s.")
        except EmbedderError as error:
            return Embedded(None, str(error))
