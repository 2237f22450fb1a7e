"""Hears from PostgreSQL which runs have new events, whichever process they are of."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import psycopg

from host.domain.errors import StoreError
from host.events.rows import CHANNEL
from host.storage.store import Database, Store

LOOK_AGAIN = 2.0
"""Seconds after which a followed run is looked at even without news."""


@asynccontextmanager
async def listening(store: Store) -> AsyncGenerator[Database]:
    """Yield a connection of its own that hears of new events, and close it.

    Raises:
        StoreError: The store cannot be reached, or the connection was lost.
    """
    listener = await store.connect("app")
    try:
        await listener.execute(f"listen {CHANNEL}")
        yield listener
    except psycopg.OperationalError as error:
        raise StoreError(
            f"The connection to PostgreSQL was lost: {error}", next_step="Try again."
        ) from error
    finally:
        await listener.close()


async def next_news(listener: Database, run_id: str) -> None:
    """Return when the followed run has new events, or after a while."""
    async with aclosing(listener.notifies(timeout=LOOK_AGAIN)) as notes:
        async for note in notes:
            if note.payload == run_id:
                return
