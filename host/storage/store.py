"""The store: PostgreSQL, embedded or shared, reached lazily through a pool of connections."""

import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import psycopg
from anyio import from_thread, lowlevel, to_thread
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from host.domain.errors import StoreError
from host.domain.principal import Principal
from host.domain.wait import unbroken_if_it_waits
from host.storage.account import SYSTEM_FOLDER
from host.storage.brokered import BrokeredConnector, broker_link
from host.storage.connector import Connector, EmbeddedConnector, SharedConnector
from host.storage.credentials import Role
from host.storage.pool_wait import heed_cancellations

heed_cancellations()

Database = AsyncConnection[DictRow]
"""A connection inside a transaction; rows are dictionaries."""

READY_LIMIT = 60.0
"""Seconds that a caller waits for the store by default."""

_POOL_SIZE = 10
_PATIENCE = 2.0
"""Seconds that a connection may be waited for before the server is looked at."""


@dataclass(frozen=True, slots=True)
class StoreState:
    """How far the store is.

    Attributes:
        kind: `embedded` or `shared`.
        ready: Whether it can be used now.
        detail: What it is waiting for, or what went wrong last.
    """

    kind: str
    ready: bool
    detail: str


class _Opening:
    """One attempt at preparing the server, in a thread of its own that no caller's timeout ends."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._prepare = prepare
        self._token = lowlevel.current_token()
        self._done = anyio.Event()
        self._error: StoreError | None = None
        self.thread = threading.Thread(target=self._run, name="open-store", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._prepare()
        except StoreError as error:
            self._error = error
        except (OSError, psycopg.Error) as error:
            self._error = StoreError(
                f"The store could not be opened: {error}",
                next_step="`host doctor` checks what it needs.",
            )
        try:
            from_thread.run_sync(self._done.set, token=self._token)
        except (RuntimeError, anyio.RunFinishedError):
            return  # the program ended meanwhile

    async def wait(self) -> None:
        await self._done.wait()
        if self._error is not None:
            raise StoreError(self._error.message, next_step=self._error.next_step)


class Store:
    """PostgreSQL, whichever and wherever it is.

    Nothing happens until `ready` or `transaction` is called first; both may be called by any number
    of tasks, share one start, and find a server again that was restarted.

    Args:
        connector: How the server is prepared and reached.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._pool: AsyncConnectionPool[Database] | None = None
        self._opening: _Opening | None = None
        self._renewal = anyio.Lock()
        self._cancelled = threading.Event()
        self._detail = "not started"

    @property
    def state(self) -> StoreState:
        """How far the store is, for `host status` and error messages."""
        return StoreState(
            kind=self._connector.kind, ready=self._pool is not None, detail=self._detail
        )

    async def ready(self, *, deadline: float | None = READY_LIMIT) -> None:
        """Wait until the store can be used, starting it if nobody has.

        Args:
            deadline: Seconds to wait; None waits as long as it takes. The start goes on after it.

        Raises:
            StoreError: It cannot be used, or not yet; the message says why and what to do.
        """
        if self._pool is not None:
            return
        try:
            with anyio.fail_after(deadline):
                await self._open()
        except TimeoutError:
            raise StoreError(
                f"The store was not ready after {deadline:g} s: {self._detail}.",
                next_step="It goes on starting; try again, or see `host store status`.",
            ) from None

    @asynccontextmanager
    async def transaction(
        self, principal: Principal | None = None, *, deadline: float | None = READY_LIMIT
    ) -> AsyncGenerator[Database]:
        """Yield a connection in a transaction that sees what `principal` may see.

        It is committed at the end of the block and rolled back by an exception. Without a
        principal, row-level security hides every row that belongs to somebody.

        Args:
            principal: For whom the statements run.
            deadline: Seconds to wait for the store and for a free connection.

        Raises:
            StoreError: There is no connection, or it was lost; then nothing was committed, unless
                the loss came during the commit itself.
        """
        database = await self._checkout(deadline)
        pool = self._pool
        try:
            async with database.transaction():
                if principal is not None:
                    await act_as(database, principal)
                yield database
        except psycopg.OperationalError as error:
            raise StoreError(
                f"The connection to PostgreSQL was lost: {error}", next_step="Try again."
            ) from error
        finally:
            if pool is None:
                await database.close()
            else:
                await unbroken_if_it_waits(pool.putconn(database))

    async def connect(self, role: Role, *, deadline: float | None = READY_LIMIT) -> Database:
        """Return a connection of one's own, in autocommit mode; the caller closes it.

        Args:
            role: As whom: `app`, `audit` or `owner`.
            deadline: Seconds to wait for the store.

        Raises:
            StoreError: It cannot be reached, nor found again where it was started anew.
        """
        await self.ready(deadline=deadline)
        try:
            return await self._connect(role)
        except psycopg.OperationalError:
            await self._renew()  # it may have moved
        try:
            return await self._connect(role)
        except psycopg.OperationalError as error:
            raise StoreError(
                f"PostgreSQL cannot be reached: {error}", next_step="Try again."
            ) from error

    async def _connect(self, role: Role) -> Database:
        conninfo = self._connector.conninfo(role)
        database = await Database.connect(**conninfo, autocommit=True, row_factory=dict_row)
        try:
            await self._configure(database, role)
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Give the connections back; the embedded server stops when nobody else uses it."""
        self._cancelled.set()
        if self._opening is not None:
            await to_thread.run_sync(self._opening.thread.join)
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()
        await to_thread.run_sync(self._connector.release)
        self._detail = "closed"

    async def _open(self) -> None:
        if self._opening is None:
            self._opening = _Opening(self._prepare)
        opening = self._opening
        try:
            await opening.wait()
        except StoreError as error:
            self._detail = str(error)
            if self._opening is opening:
                self._opening = None
            raise
        async with self._renewal:
            if self._pool is None:
                self._pool = await self._new_pool()
                self._detail = "ready"

    def _prepare(self) -> None:
        self._connector.prepare(self._tell, self._cancelled)

    def _tell(self, text: str) -> None:
        self._detail = text

    async def _new_pool(self) -> AsyncConnectionPool[Database]:
        pool: AsyncConnectionPool[Database] = AsyncConnectionPool(
            kwargs={**self._connector.conninfo("app"), "autocommit": True, "row_factory": dict_row},
            connection_class=Database,
            min_size=1,
            max_size=_POOL_SIZE,
            open=False,
            configure=self._configure_app,
            check=AsyncConnectionPool[Database].check_connection,
            name="host",
        )
        await pool.open()
        return pool

    async def _configure_app(self, database: Database) -> None:
        await self._configure(database, "app")

    async def _configure(self, database: Database, role: Role) -> None:
        for statement in self._connector.greetings(role):
            await database.execute(statement)

    async def _checkout(self, deadline: float | None) -> Database:
        """Return a live connection of the pool, finding the server again if it was restarted."""
        end = None if deadline is None else time.monotonic() + deadline
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            await self.ready(deadline=left)
            pool = self._pool
            if pool is None:
                raise StoreError("The store is closed.")
            try:
                return await pool.getconn(
                    timeout=_PATIENCE if left is None else min(_PATIENCE, left)
                )
            except (PoolTimeout, psycopg.OperationalError) as error:
                if end is not None and time.monotonic() >= end:
                    raise StoreError(
                        f"No connection to PostgreSQL within {deadline:g} s: {self._detail}.",
                        next_step="See `host store status`.",
                    ) from error
            await self._renew(pool)

    async def _renew(self, stale: AsyncConnectionPool[Database] | None = None) -> None:
        """Look whether the server moved or died, and open a new pool if so."""
        async with self._renewal:
            if self._pool is None or (stale is not None and self._pool is not stale):
                return
            before = self._connector.conninfo("app")
            await _Opening(self._prepare).wait()
            if self._connector.conninfo("app") != before:
                pool, self._pool = self._pool, await self._new_pool()
                await pool.close()
            self._detail = "ready"


async def act_as(database: Database, principal: Principal, *, for_good: bool = False) -> None:
    """Make the rest of the transaction see what a principal may see.

    Args:
        database: The connection.
        principal: Who is asking.
        for_good: As long as the connection lasts; only for one that nobody else ever gets.
    """
    await database.execute(
        "select set_config('host.user', %(user)s, %(local)s),"
        " set_config('host.client', %(client)s, %(local)s),"
        " set_config('host.principal', %(id)s, %(local)s),"
        " set_config('host.role', %(role)s, %(local)s)",
        {
            "user": principal.user,
            "client": principal.client,
            "id": principal.id,
            "role": principal.role,
            "local": not for_good,
        },
    )


async def open_store(
    url: str | None,
    data_folder: Path,
    *,
    linger: float = 3.0,
    system_folder: Path = SYSTEM_FOLDER,
) -> Store:
    """Return a store that connects when it is first used.

    Args:
        url: A PostgreSQL URL; None is the embedded server of the data folder.
        data_folder: The user's data folder.
        linger: Seconds that the embedded server outlives its last user.
        system_folder: Where root's clusters lie when the data folder is closed to other users.
    """
    if url is not None:
        return Store(SharedConnector(url))
    if (link := broker_link(data_folder)) is not None:
        return Store(BrokeredConnector(link, data_folder))
    return Store(EmbeddedConnector(data_folder, linger=linger, system_folder=system_folder))
