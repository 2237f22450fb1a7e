"""Servers made from real databases: SQLite, PostgreSQL and, where it is installed, MariaDB."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError

from generator.answers import Answers
from generator.errors import GeneratorError
from generator.sources.tables import read_tables
from tests.generator.projects import make
from tests.servers.database.conftest import mariadb, postgres, sqlite_file, url

__all__ = ["mariadb", "postgres", "sqlite_file", "url"]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FastMCP[Any]]:
    project = make(Answers(kind="database", where=url), tmp_path, "shelf")
    monkeypatch.setattr(sys, "path", [str(project.folder / "src"), *sys.path])
    monkeypatch.setenv("SHELF_DATABASE_URL", url)
    yield importlib.import_module("shelf.server").create_server()
    importlib.import_module("shelf.rows").open_engine(url).dispose()
    for name in [name for name in sys.modules if name.partition(".")[0] == "shelf"]:
        del sys.modules[name]


async def test_tables_of_a_real_database_are_read_and_not_written(server: FastMCP[Any]):
    async with Client(server) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        books = await client.call_tool("find_book", {"author_id": 1})
        titled = await client.call_tool("find_book", {"title": "x' OR '1'='1"})
        paged = await client.call_tool("find_author", {"limit": 1, "offset": 1})
        with pytest.raises(ToolError):
            await client.call_tool("find_author", {"limit": 0})
        with pytest.raises(ToolError):
            await client.call_tool("find_author", {"id": "one"})
    assert {"find_author", "find_book"} <= set(tools)
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())
    rows: list[dict[str, Any]] = (books.structured_content or {})["rows"]
    assert sorted(row["title"] for row in rows) == ["One", "Two"]
    assert float(next(row["price"] for row in rows if row["title"] == "One")) == 9.5
    assert titled.structured_content == {"rows": []}
    assert len((paged.structured_content or {})["rows"]) == 1


def test_only_tables_that_are_wanted_become_tools(url: str):
    source = read_tables(url, ("auth*",))
    assert [tool.name for group in source.groups for tool in group.tools] == ["find_author"]
    with pytest.raises(GeneratorError, match="no table like 'nothing'"):
        read_tables(url, ("nothing",))


def test_address_with_a_password_is_in_no_file(url: str, tmp_path: Path):
    answers = Answers(kind="database", where=url)
    project = make(replace(answers, name="shelf"), tmp_path, "shelf")
    texts = [file.read_text("utf-8") for file in project.folder.rglob("*") if file.is_file()]
    assert not any(url in text for text in texts)


def test_database_that_is_not_there_is_explained(tmp_path: Path):
    for address, said in [
        (f"sqlite:///{tmp_path / 'none.db'}", "no database file"),
        ("postgresql://nobody@127.0.0.1:1/none", "cannot be read"),
        ("oracle://x", "cannot be read"),
        ("no address", "cannot be read"),
    ]:
        with pytest.raises(GeneratorError, match=said):
            read_tables(address)
    assert list(tmp_path.iterdir()) == []
