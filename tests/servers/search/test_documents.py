"""Folders of documents, searched through the server as a child process and in memory."""

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

from servers.search.server import create_server
from servers.search.settings import Settings
from tests.fakes.documents import ARTICLE, make_docx, make_pdf, make_pdf_bomb, make_zip_bomb
from tests.fakes.mcp_call import ask, ask_text
from tests.fakes.web import serve_web
from tests.memory.services import Services

pytestmark = pytest.mark.anyio
PROJECT = Path(__file__).parents[3]


def open_server(store: Path, *folders: Path, user: str = "", **settings: Any) -> Client[Any]:
    """Return a client of a new server process, of a user nobody else is."""
    settings = {"documents": [str(f) for f in folders], "document_wait_seconds": 60, **settings}
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "HOST_DATA_DIR": str(store),
        "HOST_SERVER_USER": user or f"user-{secrets.token_hex(4)}",
        "HOST_SERVER_CONFINE": "1",
        "HOST_SERVER_SETTINGS": json.dumps(settings),
    }
    words = ["-m", "servers.search"]
    return Client(StdioTransport(sys.executable, words, env=environment, cwd="/", keep_alive=False))


def open_inside(
    monkeypatch: pytest.MonkeyPatch, store: Path, *folders: Path, user: str = "", **settings: Any
) -> Client[Any]:
    """Return a client of a server in this process, which saves starting one."""
    monkeypatch.setenv("HOST_DATA_DIR", str(store))
    monkeypatch.setenv("HOST_SERVER_USER", user or f"user-{secrets.token_hex(4)}")
    given = {"documents": [str(f) for f in folders], "document_wait_seconds": 60, **settings}
    return Client(create_server(Settings.model_validate(given)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "papers"
    (top / "deep").mkdir(parents=True)
    (top / "tea.md").write_text("# Tea\n\nAssam tea is malty.\n\n# Coffee\n\nIt comes from Peru.\n")
    (top / "deep" / "moon.html").write_text(ARTICLE)
    (top / "report.pdf").write_bytes(make_pdf("Introduction", "Herons wait patiently"))
    (top / "plan.docx").write_bytes(make_docx("# Budget", "Cheese costs money.", title="Plan B"))
    (top / "old.txt").write_bytes("Käse schmeckt köstlich und über alles würzig".encode("latin-1"))
    (top / "program.py").write_text("malty = 1")
    return top


async def test_every_kind_of_document_is_found_with_its_place(store_folder: Path, folder: Path):
    async with open_server(store_folder, folder) as client:

        async def best(query: str) -> tuple[str, str, int, int]:
            hit = (await ask(client, "search_documents", query=query))["hits"][0]
            return hit["path"], hit["unit"], hit["first"], hit["last"]

        assert await best("malty") == ("tea.md", "line", 1, 3)
        assert await best("autumn equinox") == ("deep/moon.html", "line", 2, 5)
        assert await best("patient heron") == ("report.pdf", "page", 2, 2)
        assert await best("cheese") == ("plan.docx", "paragraph", 1, 2)
        assert await best("köstlich") == ("old.txt", "line", 1, 1)
        text = await ask_text(client, "search_documents", query="peru")
        assert "1. tea.md (line 5-7)\n# Coffee\n\nIt comes from Peru." in text


async def test_only_what_changed_is_read_again(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
):
    async with open_inside(monkeypatch, store_folder, folder, document_refresh_seconds=0) as client:
        first = await ask(client, "index_documents")
        again = await ask(client, "index_documents")
        os.utime(folder / "report.pdf", (1, 1))
        (folder / "tea.md").write_text("Only rooibos now, nothing else.\n")
        (folder / "plan.docx").unlink()
        (folder / "new.md").write_text("A new note on jasmine.")
        changed = await ask(client, "index_documents")

        assert (first["added"], first["files"], first["problems"]) == (5, 5, {})
        assert (again["unchanged"], again["added"], again["changed"]) == (5, 0, 0)
        counts = [changed[name] for name in ("added", "changed", "removed", "unchanged")]
        assert counts == [1, 1, 1, 3]

        async def paths(query: str) -> list[str]:
            return [h["path"] for h in (await ask(client, "search_documents", query=query))["hits"]]

        assert await paths("rooibos") == ["tea.md"]
        assert await paths("malty") == []
        assert await paths("cheese") == []
        assert await paths("jasmine") == ["new.md"]


async def test_the_index_outlives_the_server_and_belongs_to_its_user(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
):
    user = f"user-{secrets.token_hex(4)}"
    async with open_server(store_folder, folder, user=user) as client:
        await client.call_tool("index_documents", {})
    async with open_inside(monkeypatch, store_folder, folder, user=user) as client:
        assert (await ask(client, "index_documents"))["unchanged"] == 5
    empty = folder / "deep" / "empty"
    empty.mkdir()
    async with open_inside(monkeypatch, store_folder, empty) as client:
        assert (await ask(client, "search_documents", query="malty tea"))["hits"] == []
        assert (await ask(client, "list_documents"))["documents"] == []


async def test_folders_are_searched_together_or_one_by_one(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    one, two = tmp_path / "one", tmp_path / "two"
    for top in (one, two):
        top.mkdir()
        (top / "note.md").write_text(f"The falcon of {top.name}.")
    async with open_inside(monkeypatch, store_folder, one, two) as client:
        both = await ask(client, "search_documents", query="falcon")
        alone = await ask(client, "search_documents", query="falcon", folder=str(two))
        assert {h["folder"] for h in both["hits"]} == {str(one), str(two)}
        assert [h["folder"] for h in alone["hits"]] == [str(two)]
        with pytest.raises(ToolError, match=r"No folder '/nowhere' is searched\. These are"):
            await client.call_tool("search_documents", {"query": "x", "folder": "/nowhere"})
        page = await ask(client, "list_documents", limit=1)
        rest = await ask(client, "list_documents", limit=1, after=page["next_after"])
        assert [d["folder"] for d in page["documents"] + rest["documents"]] == [str(one), str(two)]
        assert rest["next_after"] is None


async def test_links_hidden_and_ignored_files_stay_out(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
):
    secret = tmp_path / "secret.md"
    secret.write_text("The passphrase is swordfish.")
    (folder / "link.md").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    os.link(secret, folder / "hard.md")
    os.mkfifo(folder / "pipe.md")
    (folder / ".gitignore").write_text("private.md\n")
    (folder / "private.md").write_text("swordfish")
    async with open_inside(monkeypatch, store_folder, folder) as client:
        done = await ask(client, "index_documents")
        found = await ask(client, "search_documents", query="passphrase swordfish")

    assert found["hits"] == []
    assert list(done["problems"]) == ["hard.md"]


async def test_hostile_documents_are_problems_and_the_others_are_indexed(
    store_folder: Path, folder: Path
):
    (folder / "bomb.docx").write_bytes(make_zip_bomb(100))
    (folder / "bomb.pdf").write_bytes(make_pdf_bomb(200))
    entity = '<!DOCTYPE a [<!ENTITY b "lol">]>'
    (folder / "laughs.docx").write_bytes(make_zip_bomb(1, opening=entity))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (folder / "broken.docx").write_bytes(b"PK\x03\x04 nothing")
    (folder / "binary.txt").write_bytes(b"\0\1\2")
    (folder / "large.txt").write_text("x" * 2_000_000)
    limits: dict[str, Any] = {
        "parse_seconds": 20,
        "parse_bytes": 400_000_000,
        "document_bytes": 1_000_000,
    }
    async with open_server(store_folder, folder, **limits) as client:
        done = await ask(client, "index_documents")
        again = await ask(client, "index_documents")
        found = await ask(client, "search_documents", query="malty")

    problems = done["problems"]
    assert set(problems) == {
        "bomb.docx", "bomb.pdf", "laughs.docx", "broken.pdf", "broken.docx", "binary.txt",
        "large.txt",
    }  # fmt: skip
    assert "inflates to more than 64 MB" in problems["bomb.docx"]
    assert "defines entities" in problems["laughs.docx"]
    assert found["hits"][0]["path"] == "tea.md"
    assert again["problems"] == problems
    assert again["unchanged"] == done["files"]


async def test_an_embedder_finds_documents_by_meaning_and_its_failure_is_said(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
):
    services = Services()
    async with serve_web(services.app) as url:
        embedder = {"type": "openai", "url": f"{url}/v1", "model": "small"}
        async with open_inside(monkeypatch, store_folder, folder, embedder=embedder) as client:
            await client.call_tool("index_documents", {})
            found = await ask(client, "search_documents", query="malty")
    assert found["ways"] == ["lexical", "vector"]
    assert found["hits"][0]["path"] == "tea.md"

    away = {"type": "openai", "url": "http://127.0.0.1:1/v1", "model": "gone"}
    async with open_inside(monkeypatch, store_folder, folder, embedder=away) as client:
        found = await ask(client, "search_documents", query="malty")
    assert (found["hits"][0]["path"], found["ways"]) == ("tea.md", ["lexical"])
    assert any("cannot be reached" in note for note in found["notes"])


async def test_a_search_that_does_not_wait_says_that_indexing_goes_on(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
):
    for number in range(20):
        (folder / f"page{number}.html").write_text(ARTICLE)
    async with open_inside(monkeypatch, store_folder, folder, document_wait_seconds=0) as client:
        early = await ask(client, "search_documents", query="equinox")
        await client.call_tool("index_documents", {})
        late = await ask(client, "search_documents", query="equinox", limit=50)

    assert len(late["hits"]) == 21
    assert early["hits"] == [] or len(early["hits"]) < 21


async def test_without_folders_the_document_tools_are_not_offered(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    async with open_inside(monkeypatch, store_folder) as client:
        assert {tool.name for tool in await client.list_tools()} == {"web_search", "fetch"}
