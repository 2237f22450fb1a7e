import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from host.domain.errors import StoreError
from host.domain.principal import Principal
from host.storage.connector import EmbeddedConnector
from host.storage.embedded import EmbeddedServer
from host.storage.migrate import migrate
from host.storage.store import Database, Store, open_store
from tests.storage.fixtures import ADMIN

ROOT = Path(__file__).parents[2]
ANN = Principal("ann", "cursor")
BOB = Principal("bob", "cursor")
LINE = (
    "insert into host.audit_entries (writer, sequence, digest, line, kind, at, user_id)"
    " values (gen_random_uuid(), 1, '', '{}', 'note', now(), %s)"
)


async def ask(store: Store, query: str, principal: Principal | None = None) -> list[object]:
    async with store.transaction(principal) as database:
        cursor = await database.execute(query.encode())
        return [next(iter(row.values())) for row in await cursor.fetchall()]


def test_many_tasks_share_one_start_and_each_gets_an_answer(data_folder: Path):
    async def run() -> None:
        store = await open_store(None, data_folder, linger=0.0)
        assert not store.state.ready
        answers: list[object] = []

        async def one() -> None:
            answers.extend(await ask(store, "select 1"))

        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(one)
        assert answers == [1] * 30
        assert store.state.ready
        await store.close()

    anyio.run(run)


def test_a_deadline_says_what_is_waited_for_and_the_start_goes_on(data_folder: Path):
    async def run() -> None:
        store = await open_store(None, data_folder, linger=0.0)
        with pytest.raises(StoreError, match=r"not ready after 0 s: .*goes on starting"):
            await store.ready(deadline=0)
        await store.ready()
        await store.close()

    anyio.run(run)


def test_a_cancelled_caller_does_not_end_the_start_of_the_others(data_folder: Path):
    async def run() -> None:
        store = await open_store(None, data_folder, linger=0.0)
        with anyio.move_on_after(0) as hurry:
            await store.ready()
        assert hurry.cancelled_caught
        await store.ready()
        assert store.state.ready
        await store.close()

    anyio.run(run)


def test_a_user_that_is_cancelled_twice_gives_its_connection_back(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    async def run() -> None:
        store = await open_store(None, store_folder, linger=0.0)
        await ask(store, "select 1")
        pool, inside, gives_back = store._pool, asyncio.Event(), asyncio.Event()
        used: list[Database] = []
        assert pool is not None
        putconn = pool.putconn

        async def use() -> None:
            async with store.transaction() as database:
                used.append(database)
                inside.set()
                await asyncio.Future()

        async def noted(connection: Database) -> None:
            gives_back.set()
            await putconn(connection)

        monkeypatch.setattr(pool, "putconn", noted)
        user = asyncio.create_task(use())
        await inside.wait()
        async with pool._lock:  # as whoever gives one back for which somebody waits
            user.cancel()
            await gives_back.wait()
            user.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([user])
        assert user.cancelled()
        assert used[0] in pool._pool
        await store.close()

    asyncio.run(run())


def test_a_user_that_is_cancelled_as_it_gets_a_connection_does_not_go_on(store_folder: Path):
    async def run() -> None:
        store = await open_store(None, store_folder, linger=0.0)
        await ask(store, "select 1")
        pool = store._pool
        assert pool is not None

        async def use() -> None:
            async with store.transaction():
                await asyncio.Future()

        for turns in range(40):
            all_of_them = [await pool.getconn() for _ in range(pool.max_size)]
            user = asyncio.create_task(use())
            for _ in range(10):
                await asyncio.sleep(0)
            await pool.putconn(all_of_them.pop())
            for _ in range(turns):
                await asyncio.sleep(0)
            user.cancel()
            await asyncio.wait([user], timeout=10)
            assert user.cancelled(), f"after {turns} turns of the loop"
            for connection in all_of_them:
                await pool.putconn(connection)
        await store.close()

    asyncio.run(run())


def test_the_application_role_owns_nothing_and_sees_its_own_rows_only(empty_store_folder: Path):
    async def run() -> None:
        store = await open_store(None, empty_store_folder)
        writer = await store.connect("audit")
        for user in ("ann", "bob"):
            await writer.execute(LINE, [user])
        await writer.close()
        rows = "select user_id from host.audit_entries order by 1"
        assert await ask(store, rows, ANN) == ["ann"]
        assert await ask(store, rows, BOB) == ["bob"]
        assert await ask(store, rows, ADMIN) == ["ann", "bob"]
        assert await ask(store, rows) == []
        assert await ask(
            store, "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
        ) == [False]
        owned = "select count(*) from pg_class where relowner = current_user::regrole"
        assert await ask(store, owned) == [0]
        for statement in (
            "delete from host.audit_entries",
            "update host.audit_entries set at = now()",
            "truncate host.audit_entries",
            "set role host_owner",
            "create table host.mine (a int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await ask(store, statement, ADMIN)
        await store.close()

    anyio.run(run)


def test_the_audit_role_can_insert_and_nothing_else(empty_store_folder: Path):
    async def run() -> None:
        store = await open_store(None, empty_store_folder)
        writer = await store.connect("audit")
        await writer.execute(LINE, ["ann"])
        for statement in (
            "select * from host.audit_entries",
            "delete from host.audit_entries",
            "update host.audit_entries set line = ''",
            "select * from host.audit_calls",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await writer.execute(statement)
        await writer.close()
        await store.close()

    anyio.run(run)


def test_the_principal_of_one_transaction_is_gone_in_the_next(empty_store_folder: Path):
    async def run() -> None:
        store = await open_store(None, empty_store_folder)
        setting = "select coalesce(current_setting('host.user', true), '')"
        assert await ask(store, setting, ANN) == ["ann"]
        for _ in range(12):
            assert await ask(store, setting) == [""]
        await store.close()

    anyio.run(run)


def test_a_killed_postgres_is_started_again_for_the_next_transaction(data_folder: Path):
    async def run() -> None:
        store = await open_store(None, data_folder, linger=0.0)
        await store.ready()
        server = EmbeddedServer(data_folder)
        first = int((server.cluster / "postmaster.pid").read_text().split()[0])
        os.kill(first, signal.SIGKILL)
        assert await ask(store, "select 1") == [1]
        assert int((server.cluster / "postmaster.pid").read_text().split()[0]) != first
        await store.close()

    anyio.run(run)


def test_a_connection_lost_in_a_transaction_is_said_to_be_lost(store_folder: Path):
    async def run() -> None:
        store = await open_store(None, store_folder)
        server = EmbeddedServer(store_folder)
        server.acquire()
        with pytest.raises(StoreError, match="was lost"):  # noqa: PT012  the block is the subject
            async with store.transaction() as database:
                with psycopg.connect(**server.conninfo("super")) as other:
                    other.execute("select pg_terminate_backend(%s)", [database.info.backend_pid])
                await database.execute("select 1")
        assert await ask(store, "select 1") == [1]
        server.release()
        await store.close()

    anyio.run(run)


def test_a_shared_server_gets_roles_and_tables_from_one_login(store_folder: Path):
    server = EmbeddedServer(store_folder)
    server.acquire()
    known = server.conninfo("super", database="elsewhere")
    with psycopg.connect(
        **server.conninfo("super", database="postgres"),
        autocommit=True,
    ) as postgres:
        postgres.execute("create database elsewhere")
    url = make_conninfo("", **known)

    async def run() -> None:
        store = await open_store(url, store_folder)
        assert await ask(store, "select current_user") == ["host_app"]
        assert await ask(store, "select count(*) from host.audit_entries", ANN) == [0]
        await store.close()
        again = await open_store(url, store_folder)
        await again.ready()
        await again.close()

    try:
        anyio.run(run)
    finally:
        server.release()


def test_a_shared_server_that_is_away_is_named_without_its_password(store_folder: Path):
    url = "postgresql://me:hush-hush@127.0.0.1:9/db"

    async def run() -> None:
        store = await open_store(url, store_folder)
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            await store.ready()
        assert "hush" not in str(caught.value)
        assert "127.0.0.1" in str(caught.value)

    anyio.run(run)


def test_a_url_that_is_none_is_refused_without_showing_it(store_folder: Path):
    async def run() -> None:
        with pytest.raises(StoreError, match="cannot be read") as caught:
            await open_store("hush-hush nonsense", store_folder)
        assert "hush" not in str(caught.value)

    anyio.run(run)


MIGRATE = """
import sys, json
from host.storage.migrate import migrate
print(migrate(json.loads(sys.argv[1])))
"""


def test_processes_that_migrate_at_once_do_it_once(store_folder: Path):
    connector = EmbeddedConnector(store_folder)
    connector.server.acquire()
    connector.create_database("racing")
    argument = json.dumps(connector.owner("racing"))
    children = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, argument],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert sorted(child.communicate()[0].strip() for child in children) == ["False"] * 3 + ["True"]
    assert migrate(connector.owner("racing")) is False
    connector.release()


def test_tables_of_a_newer_version_are_refused(store_folder: Path):
    connector = EmbeddedConnector(store_folder)
    connector.server.acquire()
    connector.create_database("newer")
    migrate(connector.owner("newer"))
    with psycopg.connect(**connector.owner("newer")) as database:
        database.execute("update host.store_state set value = 'other'")
        database.execute("insert into host.alembic_version values ('memory_9999')")
    with pytest.raises(StoreError, match="newer one"):
        migrate(connector.owner("newer"))
    connector.release()
