"""How the store gets at a server: the embedded one, or one that a URL names."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString, Protocol

import psycopg
from psycopg import conninfo as parsing
from typing_extensions import override

from host.domain.errors import StoreError
from host.storage.account import SYSTEM_FOLDER
from host.storage.credentials import Role, role_name
from host.storage.embedded import EmbeddedServer
from host.storage.migrate import migrate
from host.storage.roles import DATABASE, prepare_embedded, prepare_schema

_SEARCH_PATH: LiteralString = "set search_path = host, public"


class Connector(Protocol):
    """Prepares a server and says how to reach it; every method may block."""

    kind: str

    def prepare(self, tell: Callable[[str], None], cancelled: threading.Event) -> None:
        """Start what has to be started, make roles, schema and tables; harmless when repeated."""
        ...

    def conninfo(self, role: Role) -> dict[str, Any]:
        """Return the arguments of `psycopg.connect` for a role."""
        ...

    def greetings(self, role: Role) -> list[LiteralString]:
        """Return the statements that a new connection of a role starts with."""
        ...

    def release(self) -> None:
        """Stop using the server."""
        ...


class EmbeddedConnector(Connector):
    """The embedded server of a data folder, where each role has a login of its own.

    Args:
        data_folder: The user's data folder.
        linger: Seconds that the server outlives its last user.
        system_folder: Where root's clusters lie when the data folder is closed to other users.
    """

    def __init__(
        self, data_folder: Path, *, linger: float = 3.0, system_folder: Path = SYSTEM_FOLDER
    ) -> None:
        self.kind = "embedded"
        self.server = EmbeddedServer(data_folder, linger=linger, system_folder=system_folder)

    @override
    def prepare(self, tell: Callable[[str], None], cancelled: threading.Event) -> None:
        self.server.acquire(progress=tell, cancelled=cancelled)
        tell("bringing the tables to this version")
        with psycopg.connect(
            **self.server.conninfo("super", database="postgres"), autocommit=True
        ) as postgres:
            postgres.execute("select pg_advisory_lock(1835100261)")
            prepare_embedded(postgres, passwords=self.server.passwords())
        with psycopg.connect(**self.server.conninfo("super", database=DATABASE)) as database:
            prepare_schema(database, owner=role_name("owner"))
        migrate(self.conninfo("owner"))

    @override
    def conninfo(self, role: Role) -> dict[str, Any]:
        return self.server.conninfo(role, database=DATABASE)

    @override
    def greetings(self, role: Role) -> list[LiteralString]:
        return [_SEARCH_PATH]

    @override
    def release(self) -> None:
        self.server.release()


class SharedConnector(Connector):
    """A server of the user's own, whose one login switches to the role that is needed.

    Args:
        url: A `postgresql://` URL or connection string.
    """

    def __init__(self, url: str) -> None:
        self.kind = "shared"
        try:
            self._parameters: dict[str, Any] = parsing.conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            # The URL itself is not shown: it may hold a password.
            raise StoreError(
                f"The store's URL cannot be read: {type(error).__name__}.",
                next_step="It looks like postgresql://user:password@server:5432/database.",
            ) from None

    @property
    def name(self) -> str:
        """The server and database, without the password."""
        known = {
            k: v for k, v in self._parameters.items() if k in ("host", "port", "dbname", "user")
        }
        return parsing.make_conninfo("", **known)

    @override
    def prepare(self, tell: Callable[[str], None], cancelled: threading.Event) -> None:
        tell(f"connecting to {self.name}")
        try:
            with psycopg.connect(**self._parameters, connect_timeout=15) as database:
                tell("bringing the tables to this version")
                prepare_schema(database, owner=None)
        except psycopg.OperationalError as error:
            raise StoreError(
                f"PostgreSQL ({self.name}) cannot be reached: {str(error).strip()}",
                next_step="Check that it runs and that DATABASE_URL is right.",
            ) from error
        migrate(self.conninfo("owner"))

    @override
    def conninfo(self, role: Role) -> dict[str, Any]:
        return dict(self._parameters)

    @override
    def greetings(self, role: Role) -> list[LiteralString]:
        switch: dict[Role, LiteralString] = {
            "app": "set role host_app",
            "audit": "set role host_audit",
        }
        return [_SEARCH_PATH, *([switch[role]] if role in switch else [])]

    @override
    def release(self) -> None:
        return None
