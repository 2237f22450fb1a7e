"""The same two tables in SQLite, PostgreSQL and, where it is installed, MariaDB."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from fastmcp import Client
from psycopg import sql

from host.storage.embedded import EmbeddedServer
from servers.database.server import create_server
from servers.database.settings import Settings
from tests.fakes.mcp_call import Caller

REQUIRED = "HOST_TEST_MARIADB"
"""The variable that makes a missing MariaDB a failure."""
SCHEMA = (
    "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(80) NOT NULL)",
    "CREATE TABLE book (id INTEGER PRIMARY KEY, title VARCHAR(80), price DECIMAL(8,2), "
    "author_id INTEGER, FOREIGN KEY (author_id) REFERENCES author(id))",
    "INSERT INTO author VALUES (1, 'Ada'), (2, 'Bo')",
    "INSERT INTO book VALUES (1, 'One', 9.50, 1), (2, 'Two', 12.00, 1), (3, NULL, NULL, 2)",
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Generator[Callable[[str], dict[str, Any]]]:
    with tempfile.TemporaryDirectory(prefix="db", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # PostgreSQL refuses root, and runs as another user then
        server = EmbeddedServer(Path(folder), linger=0.0)
        server.acquire()
        connect = {**server.conninfo("super", database="postgres")}
        with psycopg.connect(**connect, autocommit=True) as connection:
            connection.execute("CREATE DATABASE shop")
        shop = {**connect, "dbname": "shop"}
        with psycopg.connect(**shop, autocommit=True) as connection:  # pyright: ignore[reportArgumentType]
            for statement in (
                *SCHEMA,
                "CREATE SEQUENCE counter",
                "CREATE ROLE reader LOGIN PASSWORD 'reader'",
                "GRANT ALL ON ALL TABLES IN SCHEMA public TO reader",
                "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO reader",
                "GRANT CREATE, USAGE ON SCHEMA public TO reader",
                "CREATE FUNCTION sneak() RETURNS int LANGUAGE plpgsql AS "
                "$$ BEGIN DELETE FROM book; RETURN 1; END $$",
            ):
                connection.execute(sql.SQL(statement))
        yield lambda role: {
            **shop,
            **({"user": role, "password": role} if role == "reader" else {}),
        }
        server.release()
        while server.alive():  # the suite's time limit bounds it
            threading.Event().wait(0.05)


@pytest.fixture(scope="session")
def mariadb() -> Generator[str]:
    program = shutil.which("mariadbd")
    install = shutil.which("mariadb-install-db")
    if not program or not install:
        if os.environ.get(REQUIRED):
            pytest.fail("MariaDB is not installed, and this run requires it")
        pytest.skip("MariaDB is not installed; `make test-database` installs it")
    with tempfile.TemporaryDirectory(prefix="my") as folder:
        data, socket = f"{folder}/data", f"{folder}/sock"
        user = ["--user=root"] if os.name == "posix" and os.geteuid() == 0 else []
        subprocess.run(
            [
                install,
                "--no-defaults",
                f"--datadir={data}",
                "--auth-root-authentication-method=normal",
                *user,
            ],
            check=True,
            capture_output=True,
        )
        arguments = [f"--datadir={data}", f"--socket={socket}", "--skip-networking", *user]
        server = subprocess.Popen(
            [program, "--no-defaults", *arguments], stderr=subprocess.PIPE, text=True
        )
        try:
            _wait_ready(server)
            _fill_mariadb(socket)
            yield f"mysql://reader:reader@localhost/shop?unix_socket={socket}"
        finally:
            server.terminate()
            server.wait()


def _wait_ready(server: "subprocess.Popen[str]") -> None:
    assert server.stderr is not None
    for line in server.stderr:
        if "ready for connections" in line:
            break
    server.stderr.close()


def _fill_mariadb(socket: str) -> None:
    connection = pymysql.connect(unix_socket=socket, user="root", autocommit=True)
    with connection, connection.cursor() as cursor:
        for statement in (
            "CREATE DATABASE shop",
            "USE shop",
            *SCHEMA,
            "CREATE USER reader@localhost IDENTIFIED BY 'reader'",
            "GRANT ALL ON shop.* TO reader@localhost",
            "CREATE PROCEDURE sneak() BEGIN COMMIT; SET SESSION TRANSACTION READ WRITE; "
            "DELETE FROM book; END",
        ):
            cursor.execute(statement)


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    for statement in SCHEMA:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def postgres_url(given: dict[str, Any]) -> str:
    host, port = given["host"], given["port"]
    return (
        f"postgresql://{given['user']}:{given['password']}@/{given['dbname']}"
        f"?host={host}&port={port}"
    )


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_file')}"
    if request.param == "postgres":
        return postgres_url(request.getfixturevalue("postgres")("reader"))
    return request.getfixturevalue("mariadb")


def client_of(url: str, access: str = "ro", **more: Any) -> Caller:
    databases = {"shop": {"url": url, "access": access}}
    settings = Settings.model_validate({"databases": databases, "timeout_seconds": 20, **more})
    return Client(create_server(settings))
