"""A connection of its own to the store, for who writes often and for one principal only."""

import asyncio
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
        greeting: A statement that a new connection starts with, and its values.
    """

    def __init__(
        self,
        store: Store,
        principal: Principal,
        *,
        greeting: tuple[LiteralString, Mapping[str, object]] | None = None,
    ) -> None:
        self._store = store
        self._principal = principal
        self._greeting = greeting
        self._database: Database | None = None
        self._cursor: psycopg.AsyncCursor[DictRow] | None = None
        self._opening = asyncio.Lock()
        self._turn = asyncio.Lock()

    async def fetch(self, statement: LiteralString, values: Mapping[str, object]) -> list[DictRow]:
        """Run a statement that does no harm if it is run twice, and return its rows.

        A connection that was lost since the last one is made again, once.

        Raises:
            StoreError: The store cannot be reached; the statement may have been run.
        """
        database = self._database
        if database is not None:
            try:
                return await self._run(database, statement, values)
            except psycopg.OperationalError:
                await self._drop(database)
        try:
            database = await self._open()
            return await self._run(database, statement, values)
        except psycopg.OperationalError as error:
            if database is not None:
                await self._drop(database)
            raise StoreError(
                f"The connection to PostgreSQL was lost: {error}", next_step="Try again."
            ) from error

    async def close(self) -> None:
        """Give the connection back; the next statement opens another one."""
        if self._database is not None:
            await self._drop(self._database)

    async def _drop(self, database: Database) -> None:
        """Close a connection, which somebody else may have replaced meanwhile."""
        if self._database is database:
            self._database = None
        await database.close()

    async def _open(self) -> Database:
        async with self._opening:
            if self._database is None:
                self._database = await self._connect()
            return self._database

    async def _connect(self) -> Database:
        database = await self._store.connect("app")
        try:
            await act_as(database, self._principal, for_good=True)
            if self._greeting is not None:
                await self._run(database, *self._greeting)
        except BaseException:
            await database.close()
            raise
        return database

    async def _run(
        self, database: Database, statement: LiteralString, values: Mapping[str, object]
    ) -> list[DictRow]:
        async with self._turn:
            # One cursor for all: to make one takes a fifth of the time that a statement takes here.
            if self._cursor is None or self._cursor.connection is not database:
                self._cursor = database.cursor()
            await self._cursor.execute(statement, values, prepare=True)
            return await self._cursor.fetchall()
