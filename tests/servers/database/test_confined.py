import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from tests.fakes.mcp_call import ask

ROOT = Path(__file__).parents[3]
COUNT = "SELECT count(*) FROM book"
pytestmark = pytest.mark.anyio


def confined(sqlite_file: Path) -> StdioTransport:
    given = {"databases": {"shop": {"url": f"sqlite:///{sqlite_file}"}}}
    return StdioTransport(
        sys.executable,
        ["-m", "servers.database"],
        env={"HOST_SERVER_SETTINGS": json.dumps(given), "HOST_SERVER_CONFINE": "1"},
        cwd=str(ROOT),
    )


async def test_confined_server_reads_write_ahead_logs_that_come_and_go(sqlite_file: Path):
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert not sqlite_file.with_name("shop.db-wal").exists()
    counts: list[int] = []
    async with Client(confined(sqlite_file)) as client:
        for number in range(10, 13):
            counts.append((await ask(client, "query", sql=COUNT))["rows"][0][0])
            with closing(sqlite3.connect(sqlite_file)) as writer:
                writer.execute("INSERT INTO book (id) VALUES (?)", (number,))
                writer.commit()
                counts.append((await ask(client, "query", sql=COUNT))["rows"][0][0])
        described = await ask(client, "describe_table", table="book")

    assert counts == [3, 4, 4, 5, 5, 6]
    assert described["primary_key"] == ["id"]


async def test_it_runs_alone_and_confined_over_stdio(sqlite_file: Path):
    async with Client(confined(sqlite_file)) as client:
        assert (await ask(client, "query", sql=COUNT))["rows"] == [[3]]
