import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from servers.database import statement
from servers.database.server import create_server
from servers.database.settings import Settings
from servers.launch import SettingsError
from tests.fakes.mcp_call import ask, ask_text, labels_of
from tests.servers.database.conftest import client_of, postgres_url

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.anyio
EVIL = {"evil", "evil.db"}
COUNT = "SELECT count(*) FROM book"


async def count_books(url: str) -> int:
    async with client_of(url) as client:
        return (await ask(client, "query", sql=COUNT))["rows"][0][0]


async def test_rows_come_with_columns_and_parameters_are_bound(url: str):
    async with client_of(url) as client:
        found = await ask(
            client,
            "query",
            sql="SELECT id, title, price FROM book WHERE author_id = :author ORDER BY id",
            parameters={"author": 1},
        )

    assert found["columns"] == ["id", "title", "price"]
    assert [r[:2] for r in found["rows"]] == [[1, "One"], [2, "Two"]]
    assert float(found["rows"][0][2]) == 9.5
    assert found["stopped_by"] is None


async def test_parameters_are_values_never_sql(url: str):
    async with client_of(url) as client:
        found = await ask(
            client,
            "query",
            sql="SELECT :word AS word",
            parameters={"word": "x'; DELETE FROM book; --"},
        )

    assert found["rows"] == [["x'; DELETE FROM book; --"]]
    assert await count_books(url) == 3


async def test_colons_in_literals_and_comments_are_no_parameters(url: str):
    sql = """
        SELECT ':id; 100% at 12:30' AS a, '{"k":1}' AS b, ':id' /* :id */, 'it''s :id', :id -- :id
        FROM book WHERE id = :id AND title LIKE 'T%'"""
    async with client_of(url) as client:
        found = await ask(client, "query", sql=sql, parameters={"id": 2})
        plan = await ask(client, "explain", sql=sql, parameters={"id": 2})

    assert found["rows"] == [[":id; 100% at 12:30", '{"k":1}', ":id", "it's :id", 2]]
    assert found["columns"][:2] == ["a", "b"]
    assert plan["rows"]


async def test_a_literal_is_written_as_it_stands(url: str):
    change = "UPDATE book SET title = 'see :id, 5% off: now' WHERE id = :id"
    async with client_of(url, "rw") as client:
        await ask(client, "execute", sql=change, parameters={"id": 2})
        found = await ask(client, "query", sql="SELECT title FROM book WHERE id = 2")
        put_back = "UPDATE book SET title = 'Two' WHERE id = 2"
        await ask(client, "execute", sql=put_back)

    assert found["rows"] == [["see :id, 5% off: now"]]


@pytest.mark.parametrize(
    ("sql", "value", "expected"),
    [
        ("SELECT '{\"a\":1}'::jsonb -> :v", "a", 1),
        ("SELECT DATE '2026-01-02' > :v", "2026-01-01", True),
        ("SELECT $x$ :v $$ '$x$ || :v", "end", " :v $$ 'end"),
        (r"SELECT E'it\'s :v' || :v", "!", "it's :v!"),
        ("SELECT /* one /* :two */ :three */ :v::text", 5, "5"),
        ("SELECT :v * :v", 30_000, 900_000_000),
        ("SELECT (ARRAY[1, 2, 3])[1:2] || :v", 4_000_000_000, [1, 2, 4_000_000_000]),
        ("SELECT :v IS NULL", None, True),
    ],
)
async def test_postgres_takes_parameters_beside_its_own_colons(
    postgres: Callable[[str], dict[str, Any]], sql: str, value: object, expected: object
):
    async with client_of(postgres_url(postgres("reader"))) as client:
        found = await ask(client, "query", sql=sql, parameters={"v": value})

    assert found["rows"] == [[expected]]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM book",
        "INSERT INTO author VALUES (9, 'Eve')",
        "UPDATE book SET title = 'x'",
        "DROP TABLE book",
        "CREATE TABLE evil (id INTEGER)",
        "SELECT 1; DELETE FROM book",
        "COMMIT; DELETE FROM book",
        "COMMIT",
        "ROLLBACK",
        "BEGIN",
        "SET TRANSACTION READ WRITE",
        "SET SESSION TRANSACTION READ WRITE",
        "SET default_transaction_read_only = off",
        "PRAGMA query_only = OFF",
        "ATTACH DATABASE '/tmp/evil.db' AS evil",
        "VACUUM INTO '/tmp/evil.db'",
        "CALL sneak()",
        "BEGIN NOT ATOMIC COMMIT; SET SESSION TRANSACTION READ WRITE; DELETE FROM book; END",
        "DO $$ BEGIN DELETE FROM book; END $$",
        "COPY book TO PROGRAM 'cat > /tmp/evil'",
        "COPY book TO '/tmp/evil'",
        "SELECT * FROM book INTO OUTFILE '/tmp/evil'",
        "SELECT load_extension('/tmp/evil')",
        "EXPLAIN ANALYZE DELETE FROM book",
        "WITH gone AS (DELETE FROM book RETURNING id) SELECT * FROM gone",
        "",
    ],
)
async def test_statements_that_change_or_leave_are_refused_by_the_database(url: str, sql: str):
    async with client_of(url) as client:
        with pytest.raises(ToolError, match=r"Database 'shop'|returns no rows|several statements"):
            await ask(client, "query", sql=sql)

    assert await count_books(url) == 3
    assert not EVIL & set(os.listdir("/tmp"))  # noqa: S108, PTH208 - named by the attacks above


def _let_through(kind: str, sql: str, ask: object) -> None:
    """Leave everything to the database."""


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sneak()",
        "SELECT nextval('counter')",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT lo_create(0)",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
async def test_the_session_of_postgres_refuses_side_effects_by_itself(
    postgres: Callable[[str], dict[str, Any]], sql: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(statement, "check_query", _let_through)
    url = postgres_url(postgres("reader"))
    async with client_of(url) as client:
        with pytest.raises(ToolError, match=r"read-only|read-write|permission denied"):
            await ask(client, "query", sql=sql)

    assert await count_books(url) == 3


async def test_role_that_reaches_beyond_data_is_refused_unless_accepted(
    postgres: Callable[[str], dict[str, Any]],
):
    url = postgres_url(postgres("super"))
    async with client_of(url) as client:
        with pytest.raises(ToolError, match="can reach beyond data even when reading"):
            await ask(client, "query", sql=COUNT)

    accepted = {"shop": {"url": url, "allow_powerful_role": True}}
    async with Client(create_server(Settings.model_validate({"databases": accepted}))) as client:
        assert (await ask(client, "query", sql=COUNT))["rows"] == [[3]]


@pytest.mark.parametrize("sql", ["ANALYZE DELETE FROM book", "SELECT 1; DELETE FROM book"])
async def test_explain_changes_nothing(url: str, sql: str):
    async with client_of(url) as client:
        with pytest.raises(ToolError, match=r"Database 'shop'|several statements"):
            await ask(client, "explain", sql=sql)

    assert await count_books(url) == 3


async def test_explain_shows_a_plan(url: str):
    async with client_of(url) as client:
        found = await ask(
            client, "explain", sql="SELECT * FROM book WHERE id = :id", parameters={"id": 1}
        )

    assert "book" in json.dumps(found["rows"])


async def test_tables_views_keys_and_columns_are_described(url: str):
    async with client_of(url) as client:
        tables = await ask(client, "list_tables")
        book = await ask(client, "describe_table", table="book")
        with pytest.raises(ToolError, match="no table 'boook'"):
            await ask(client, "describe_table", table="boook")

    assert {"author", "book"} <= set(tables["tables"])
    assert [c["name"] for c in book["columns"]] == ["id", "title", "price", "author_id"]
    assert book["primary_key"] == ["id"]
    assert book["foreign_keys"] == ["author_id -> author(id)"]


async def test_rows_bytes_and_cells_are_limited_and_it_is_said(url: str):
    async with client_of(url, max_rows=2) as client:
        rows = await ask(client, "query", sql="SELECT id FROM book")
        text = await ask_text(client, "query", sql="SELECT id FROM book")
    async with client_of(url, max_bytes=15) as client:
        bytes_ = await ask(client, "query", sql="SELECT title FROM book")
    async with client_of(url, max_cell_chars=2) as client:
        cell = await ask(client, "query", sql="SELECT title FROM book WHERE id = 1")

    assert (len(rows["rows"]), rows["stopped_by"]) == (2, "rows")
    assert "cut by the limit of rows" in text
    assert bytes_["stopped_by"] == "bytes"
    assert cell["rows"] == [["On… (3 characters)"]]


async def test_endless_statement_is_cancelled(url: str):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"
    if url.startswith("mysql"):
        # Not BENCHMARK, which may end as if it had been done.
        of = ", ".join(f"information_schema.columns c{number}" for number in range(4))
        endless = "SELECT count(*) FROM " + of  # noqa: S608 - no values in it
    async with client_of(url, timeout_seconds=0.5) as client:
        with pytest.raises(ToolError, match=r"longer than 0.5 s in 'shop' and was cancelled"):
            await ask(client, "query", sql=endless)


async def test_errors_name_the_cause_and_never_the_password(url: str):
    async with client_of(url) as client:
        with pytest.raises(ToolError, match=r"list_tables"):
            await ask(client, "query", sql="SELECT * FROM nowhere")
        with pytest.raises(ToolError, match=r":missing, which has no value.*now: other"):
            await ask(client, "query", sql="SELECT :missing", parameters={"other": 1})
        with pytest.raises(ToolError, match=r"no database 'other'. Known: shop"):
            await ask(client, "query", sql="SELECT 1", database="other")


async def test_postgres_errors_tell_of_the_statement_as_it_was_given(
    postgres: Callable[[str], dict[str, Any]],
):
    async with client_of(postgres_url(postgres("reader"))) as client:
        with pytest.raises(ToolError, match="data type") as untyped:
            await ask(client, "query", sql="SELECT :v IS NULL", parameters={"v": "x"})
        with pytest.raises(ToolError, match="relation") as unknown:
            await ask(client, "query", sql="SELECT * FROM nowhere")

    assert "CAST(:name AS text)" in str(untyped.value)
    assert "DECLARE" not in str(unknown.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:secret@127.0.0.1:1/x", "mysql://me:secret@127.0.0.1:1/x", "sqlite:////no/x"],
)
async def test_unreachable_database_is_an_error_without_its_password(url: str):
    async with client_of(url) as client:
        for tool, arguments in (("query", {"sql": "SELECT 1"}), ("list_tables", {})):
            with pytest.raises(ToolError, match="atabase 'shop'") as failure:
                await ask(client, tool, **arguments)
            assert "secret" not in str(failure.value)


async def test_execute_is_there_only_where_something_may_be_changed(sqlite_file: Path):
    async with client_of(f"sqlite:///{sqlite_file}") as client:
        read_only = await labels_of(client)
    async with client_of(f"sqlite:///{sqlite_file}", "rw") as client:
        writable = await labels_of(client)

    assert read_only == {
        "list_databases": ["private"],
        "list_tables": ["private", "untrusted"],
        "describe_table": ["private", "untrusted"],
        "query": ["private", "untrusted"],
        "explain": ["private", "untrusted"],
    }
    assert writable == {**read_only, "execute": ["private", "changes", "destructive"]}


async def test_execute_changes_a_writable_database_and_query_still_cannot(url: str):
    change = "UPDATE book SET title = :title WHERE id = :id"
    async with client_of(url, "rw") as client:
        changed = await ask(client, "execute", sql=change, parameters={"title": "New", "id": 3})
        found = await ask(client, "query", sql="SELECT title FROM book WHERE id = 3")
        with pytest.raises(ToolError):
            await ask(client, "query", sql="DELETE FROM book")
        with pytest.raises(ToolError):
            await ask(client, "execute", sql="DELETE FROM book; DELETE FROM author")

    assert changed["rows_changed"] == 1
    assert found["rows"] == [["New"]]
    assert await count_books(url) == 3


async def test_writable_sqlite_cannot_reach_other_files(sqlite_file: Path, tmp_path: Path):
    async with client_of(f"sqlite:///{sqlite_file}", "rw") as client:
        for sql in (
            f"ATTACH DATABASE '{tmp_path}/other.db' AS other",
            f"VACUUM INTO '{tmp_path}/other.db'",
        ):
            with pytest.raises(ToolError, match="Database 'shop'"):
                await ask(client, "execute", sql=sql)

    assert not (tmp_path / "other.db").exists()


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


VIRTUAL = (
    "CREATE VIRTUAL TABLE full5 USING fts5(body)",
    "CREATE VIRTUAL TABLE full4 USING fts4(body)",
    "CREATE VIRTUAL TABLE tree USING rtree(id, low, high)",
    "INSERT INTO full5 VALUES ('hello world')",
    "INSERT INTO full4 VALUES ('hello world')",
    "INSERT INTO tree VALUES (1, 2, 3)",
    "CREATE VIEW found AS SELECT snippet(full5, 0, '<', '>', '', 3) FROM full5('hello')",
)


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("SELECT body, bm25(full5) < 0 FROM full5 WHERE full5 MATCH :w", ["hello world", 1]),
        ("SELECT * FROM found WHERE :w <> ''", ["<hello> world"]),
        ("SELECT body FROM full4 WHERE full4 MATCH :w", ["hello world"]),
        ("SELECT id FROM tree WHERE low < 3 AND :w <> ''", [1]),
        ("SELECT value FROM json_each('[7]') WHERE :w <> ''", [7]),
    ],
)
async def test_full_text_and_json_of_sqlite_can_be_read(
    sqlite_file: Path, sql: str, row: list[object]
):
    with closing(sqlite3.connect(sqlite_file)) as connection:
        for statement in VIRTUAL:
            connection.execute(statement)
        connection.commit()
    digest = file_digest(sqlite_file)
    async with client_of(f"sqlite:///{sqlite_file}") as client:
        found = await ask(client, "query", sql=sql, parameters={"w": "hello"})
        for change in ("INSERT INTO full5(full5) VALUES ('rebuild')", "DELETE FROM tree"):
            with pytest.raises(ToolError, match=r"can only read"):
                await ask(client, "query", sql=change)

    assert found["rows"] == [row]
    assert file_digest(sqlite_file) == digest


async def test_home_folder_is_known_in_sqlite_addresses(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(sqlite_file.parent))
    monkeypatch.setenv("USERPROFILE", str(sqlite_file.parent))
    assert await count_books("sqlite:///~/shop.db") == 3


@pytest.mark.parametrize("url", ["not a url", "oracle://x/y", "sqlite://"])
def test_unusable_urls_are_refused_at_start(url: str):
    with pytest.raises(SettingsError, match=r"databases\.shop\.url"):
        create_server(Settings.model_validate({"databases": {"shop": {"url": url}}}))
