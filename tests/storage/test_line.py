"""A connection of its own stays its principal's, and is made again when it is lost."""

import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import LiteralString

import anyio
import psycopg
import pytest

from host.domain.errors import StoreError
from host.domain.principal import Principal
from host.storage.embedded import EmbeddedServer
from host.storage.line import Line
from host.storage.store import open_store

ANN = Principal("ann", "cursor")
WHO: LiteralString = (
    "select pg_backend_pid() as process, current_user::text as role,"
    " current_setting('host.user') as person, current_setting('host.role') as rights"
)
pytestmark = pytest.mark.anyio


@asynccontextmanager
async def open_line(folder: Path) -> AsyncGenerator[Line]:
    store = await open_store(None, folder)
    line = Line(store, ANN)
    try:
        yield line
    finally:
        await line.close()
        await store.close()


def end(folder: Path, process: int) -> None:
    """End a connection on the server's side."""
    server = EmbeddedServer(folder)
    server.acquire()
    with psycopg.connect(**server.conninfo("super")) as other:
        other.execute("select pg_terminate_backend(%s, 30000)", [process])
    server.release()


async def test_every_statement_runs_for_the_principal_on_one_connection(
    store_folder: Path,
) -> None:
    async with open_line(store_folder) as line:
        rows = [(await line.fetch(WHO, {}))[0] for _ in range(3)]
    assert {(row["role"], row["person"], row["rights"]) for row in rows} == {
        ("host_app", "ann", ANN.role)
    }
    assert len({row["process"] for row in rows}) == 1


async def test_lost_connection_is_made_again_for_the_same_principal(store_folder: Path) -> None:
    async with open_line(store_folder) as line:
        [before] = await line.fetch(WHO, {})
        end(store_folder, int(before["process"]))
        [after] = await line.fetch(WHO, {})
    assert after["process"] != before["process"]
    assert (after["person"], after["role"]) == ("ann", "host_app")


async def test_server_that_died_is_started_again_for_the_same_statement(data_folder: Path) -> None:
    async with open_line(data_folder) as line:
        [before] = await line.fetch(WHO, {})
        server = EmbeddedServer(data_folder)
        process = int((server.cluster / "postmaster.pid").read_text().split()[0])
        os.kill(process, signal.SIGKILL)
        [after] = await line.fetch(WHO, {})
    assert (after["person"], after["role"]) == (before["person"], before["role"])


async def test_statement_that_loses_every_connection_says_so_and_the_next_one_works(
    store_folder: Path,
) -> None:
    async with open_line(store_folder) as line:
        with pytest.raises(StoreError, match="was lost"):
            await line.fetch("select pg_terminate_backend(pg_backend_pid())", {})
        assert len(await line.fetch(WHO, {})) == 1


async def test_statements_of_tasks_at_the_same_time_each_get_their_own_rows(
    store_folder: Path,
) -> None:
    found: dict[int, object] = {}
    async with open_line(store_folder) as line:

        async def ask(number: int) -> None:
            [row] = await line.fetch("select %(number)s::int as number", {"number": number})
            found[number] = row["number"]

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(ask, number)
    assert found == {number: number for number in range(20)}


async def test_statement_that_fails_leaves_the_connection_as_it_was(store_folder: Path) -> None:
    async with open_line(store_folder) as line:
        [before] = await line.fetch(WHO, {})
        with pytest.raises(psycopg.errors.DivisionByZero):
            await line.fetch("select 1 / 0", {})
        assert await line.fetch(WHO, {}) == [before]
