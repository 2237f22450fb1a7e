"""A connection of its own to the store, for who writes often and for one principal only."""

from collections.abc import Mapping
from typing import LiteralString

import psycopg
from psycopg.rows import DictRow

from host.domain.errors import StoreError
from host.domain.principal import Principal
from host.storage.store import Database, Store, act_as


class Line:
    """Runs statements one at a time, each a transaction of its own, in one round trip.

    A transaction of the pool takes five: is the connection alive, begin, for whom, the statement,
    commit. Here the principal stands for as long as the connection does, which nobody else gets.

    Args:
        store: The database; nothing is opened before the first statement.
        principal: For whom every statement runs.
    """

    def __init__(self, store: Store, principal: Principal) -> None:
        self._store = store
        self._principal = principal
        self._database: Database | None = None

    async def fetch(self, statement: LiteralString, values: Mapping[str, object]) -> list[DictRow]:
        """Run a statement that does no harm if it is run twice, and return its rows.

        A connection that was lost since the last one is made again, once.

        Raises:
            StoreError: The store cannot be reached; the statement may have been run.
        """
        if self._database is not None:
            try:
                return await self._run(self._database, statement, values)
            except psycopg.OperationalError:
                await self.close()
        try:
            return await self._run(await self._open(), statement, values)
        except psycopg.OperationalError as error:
            await self.close()
            raise StoreError(
                f"The connection to PostgreSQL was lost: {error}", next_step="Try again."
            ) from error

    async def close(self) -> None:
        """Give the connection back; the next statement opens another one."""
        database, self._database = self._database, None
        if database is not None:
            await database.close()

    async def _open(self) -> Database:
        database = await self._store.connect("app")
        self._database = database
        await act_as(database, self._principal, for_good=True)
        return database

    async def _run(
        self, database: Database, statement: LiteralString, values: Mapping[str, object]
    ) -> list[DictRow]:
        return await (await database.execute(statement, values, prepare=True)).fetchall()
