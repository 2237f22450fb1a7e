"""What looks like a query and does something is refused, however its function is written."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from fastmcp.exceptions import ToolError

from tests.fakes.mcp_call import ask
from tests.servers.database.conftest import client_of, postgres_url

pytestmark = pytest.mark.anyio

OTHERS = "FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
END = "pg_terminate_backend"


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT {END}(pid) {OTHERS}",
        f"SELECT PG_CATALOG . Pg_Terminate_Backend /* - */ -- (\n (pid) {OTHERS}",
        f'SELECT "{END}" (pid) {OTHERS}',
        f'SELECT U&"pg\\005fterminate_backend"(pid) {OTHERS}',
        f"SELECT query_to_xml('SELECT {END}(pid) {OTHERS}', true, true, '')",
        f"WITH ended AS MATERIALIZED (SELECT {END}(pid) {OTHERS}) SELECT * FROM ended",  # noqa: S608 - an attack
        f"SELECT 1 --\r, {END}(pid) {OTHERS} --",
        f"SELECT $€$ ' $€$, {END}(pid), $€$ ' $€$ {OTHERS}",
        f"SELECT 1 AS €$$, {END}(pid), 2 AS €$$ {OTHERS}",
        f"SELECT '\\', {END}(pid), '\\' {OTHERS}",
    ],
)
@pytest.mark.parametrize("tool", ["query", "explain"])
async def test_a_query_cannot_end_another_session_of_its_role(
    postgres: Callable[[str], dict[str, Any]], sql: str, tool: str
):
    given = {"analyze": True} if tool == "explain" else {}
    with psycopg.connect(**postgres("reader"), autocommit=True) as other:
        async with client_of(postgres_url(postgres("reader"))) as client:
            with pytest.raises(ToolError, match=r"does something beside|not looked into"):
                await ask(client, tool, sql=sql, **given)

        assert other.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "call",
    [
        "pg_cancel_backend(1)",
        "pg_advisory_lock(1)",
        "pg_try_advisory_xact_lock_shared(1)",
        "pg_notify('a', 'b')",
        "pg_logical_emit_message(false, 'a', 'b')",
        "lo_get(1)",
        "pg_read_file('/etc/passwd')",
        "pg_ls_dir('/')",
        "set_config('work_mem', '1GB', false)",
        "nextval('counter')",
        "setval('counter', 7)",
        "pg_reload_conf()",
        "ts_stat('SELECT 1')",
    ],
)
async def test_functions_of_postgres_with_effects_are_refused_by_name(
    postgres: Callable[[str], dict[str, Any]], call: str
):
    async with client_of(postgres_url(postgres("reader"))) as client:
        with pytest.raises(ToolError, match=rf"{call.partition('(')[0]}\(\) does something"):
            await ask(client, "query", sql=f"SELECT {call}")


async def test_functions_that_compute_and_the_database_s_own_are_called(
    postgres: Callable[[str], dict[str, Any]],
):
    sql = f"""SELECT count(*), max(id), coalesce(upper(max(title)), ''), '{END}(1)' AS "lo_get",
        random() < 2, clock_timestamp() > now(), pg_relation_size('book') >= 0, pg_sleep(0) IS NULL,
        (SELECT string_agg(x, '') FROM unnest(array['a', 'b']) x) -- {END}(1)
        FROM book WHERE id IN (1, 2) AND /* {END}(1) */ EXISTS (SELECT 1)"""  # noqa: S608 - no values
    async with client_of(postgres_url(postgres("reader"))) as client:
        found = await ask(client, "query", sql=sql)

    assert found["rows"] == [[2, 2, "TWO", f"{END}(1)", True, True, True, False, "ab"]]


@pytest.mark.parametrize(
    "sql",
    [
        "COMMIT",
        " /* now */ commit;",
        "BEGIN",
        "START TRANSACTION",
        "ROLLBACK TO SAVEPOINT a",
        "savepoint a",
        "RELEASE a",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "PREPARE TRANSACTION 'a'",
    ],
)
async def test_execute_refuses_what_begins_or_ends_transactions(url: str, sql: str):
    async with client_of(url, "rw") as client:
        with pytest.raises(ToolError, match="Each call is a transaction of its own"):
            await ask(client, "execute", sql=sql)


@pytest.mark.parametrize(
    ("tool", "sql"),
    [
        ("query", "SELECT 1; SELECT 2"),
        ("query", "SELECT 1;; -- x\n SELECT 2"),
        ("explain", "SELECT 1; SELECT 2"),
        ("execute", "UPDATE book SET title = ';'; UPDATE book SET title = 'x'"),
        ("execute", "/*;*/ UPDATE book SET title = 'x'; COMMIT"),
    ],
)
async def test_several_statements_are_refused_in_plain_words(url: str, tool: str, sql: str):
    async with client_of(url, "rw") as client:
        with pytest.raises(ToolError, match="several statements"):
            await ask(client, tool, sql=sql)
        found = await ask(client, "query", sql="SELECT title FROM book WHERE id = 1 ; -- ;")

    assert found["rows"] == [["One"]]


async def test_a_trigger_with_statements_inside_is_one_statement(url: str):
    if not url.startswith("sqlite"):
        pytest.skip("SQLite's way of writing a trigger")
    body = "UPDATE author SET name = name; UPDATE author SET name = name;"
    async with client_of(url, "rw") as client:
        made = f"CREATE TRIGGER t AFTER UPDATE ON book BEGIN {body} END"
        await ask(client, "execute", sql=made)
        await ask(client, "execute", sql="DROP TRIGGER t;")
        found = await ask(client, "query", sql="SELECT count(*) FROM sqlite_master WHERE name='t'")

    assert found["rows"] == [[0]]
