"""How the store gets at a server: the embedded one, or one that a URL names."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import conninfo as parsing
from psycopg import sql
from typing_extensions import override

from host.domain.errors import StoreError
from host.storage.account import SYSTEM_FOLDER
from host.storage.credentials import Role, role_name
from host.storage.embedded import EmbeddedServer
from host.storage.migrate import migrate
from host.storage.roles import DATABASE, prepare_embedded, prepare_schema

SEARCH_PATH: LiteralString = "set search_path = host, public"
"""What every connection starts with."""


class Connector(ABC):
    """Prepares a server and says how to reach it; every method may block."""

    kind: str
    """`embedded` or `shared`."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Where the data is, for people; no password is in it."""

    @abstractmethod
    def prepare(self, tell: Callable[[str], None], cancelled: threading.Event) -> None:
        """Start what has to be started, make roles, schema and tables; harmless when repeated."""

    @abstractmethod
    def conninfo(self, role: Role) -> dict[str, Any]:
        """Return the arguments of `psycopg.connect` for a role."""

    @abstractmethod
    def greetings(self, role: Role) -> list[LiteralString]:
        """Return the statements that a new connection of a role starts with."""

    @abstractmethod
    def release(self) -> None:
        """Stop using the server."""

    @abstractmethod
    def privileged(self, database: str | None = None) -> dict[str, Any]:
        """Return how to connect with all rights there are; None is the store's own database."""

    @abstractmethod
    def owner(self, database: str) -> dict[str, Any]:
        """Return how to connect to a database as the owner of its tables."""

    @abstractmethod
    def create_database(self, name: str) -> None:
        """Make another database like the store's own, with roles and schema but no tables."""


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

    @property
    @override
    def where(self) -> str:
        return str(self.server.cluster)

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
        return [SEARCH_PATH]

    @override
    def release(self) -> None:
        self.server.release()

    @override
    def privileged(self, database: str | None = None) -> dict[str, Any]:
        return self.server.conninfo("super", database=database or DATABASE)

    @override
    def owner(self, database: str) -> dict[str, Any]:
        return self.server.conninfo("owner", database=database)

    @override
    def create_database(self, name: str) -> None:
        with psycopg.connect(**self.privileged("postgres"), autocommit=True) as postgres:
            prepare_embedded(postgres, passwords=self.server.passwords(), database=name)
        with psycopg.connect(**self.privileged(name)) as database:
            prepare_schema(database, owner=role_name("owner"))


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
    @override
    def where(self) -> str:
        known = {
            k: v for k, v in self._parameters.items() if k in ("host", "port", "dbname", "user")
        }
        return parsing.make_conninfo("", **known)

    @override
    def prepare(self, tell: Callable[[str], None], cancelled: threading.Event) -> None:
        tell(f"connecting to {self.where}")
        try:
            with psycopg.connect(**self._parameters, connect_timeout=15) as database:
                tell("bringing the tables to this version")
                prepare_schema(database, owner=None)
        except psycopg.OperationalError as error:
            raise StoreError(
                f"PostgreSQL ({self.where}) cannot be reached: {str(error).strip()}",
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
        return [SEARCH_PATH, *([switch[role]] if role in switch else [])]

    @override
    def release(self) -> None:
        return None

    @override
    def privileged(self, database: str | None = None) -> dict[str, Any]:
        return self._parameters | ({} if database is None else {"dbname": database})

    @override
    def owner(self, database: str) -> dict[str, Any]:
        return self.privileged(database)

    @override
    def create_database(self, name: str) -> None:
        with psycopg.connect(**self.privileged("postgres"), autocommit=True) as server:
            server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        with psycopg.connect(**self.privileged(name)) as database:
            prepare_schema(database, owner=None)
