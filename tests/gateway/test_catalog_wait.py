"""How long a list waits for servers that do not answer."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from host.config.servers import ServerConfig
from host.domain.principal import Principal
from host.gateway import patience
from host.gateway.catalog import Catalog
from host.gateway.exchange import QuietExchange, QuietSession
from host.gateway.http1.client import HttpClient
from host.gateway.oauth.authorizer import HeaderAuthorizer
from host.gateway.upstream.keeper import Keeper
from host.gateway.upstream.knowledge import digest_config
from host.gateway.upstream.listing import Listing
from host.gateway.upstream.opening import Surroundings
from host.gateway.upstream.remembered import RememberedLists
from host.gateway.upstream.server import UpstreamServer
from tests.fakes.scripted_http import ScriptedServer, Wire

pytestmark = pytest.mark.anyio

READ = Listing({"read": {"name": "read", "inputSchema": {}}})


async def silent(wire: Wire) -> None:
    await wire.left()


@contextlib.asynccontextmanager
async def silent_server(folder: Path) -> AsyncGenerator[UpstreamServer]:
    """A remote server that never answers."""
    client = HttpClient()
    around = Surroundings(
        Keeper(),
        client,
        lambda c, m, p: None,
        lambda n, c: HeaderAuthorizer({}),
        folder / "logs",
        lists=folder / "lists",
    )
    async with ScriptedServer(silent).serve() as server:
        far = UpstreamServer("far", ServerConfig.model_validate({"url": server.url}), around)
        try:
            yield far
        finally:
            await far.close()
            await client.close()


def request_of(user: str) -> QuietExchange:
    return QuietExchange(QuietSession(Principal(user=user, client="c", role="user"), "http"), 1)


@pytest.fixture(autouse=True)
def times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "REMOTE_WAIT", 0.0)
    monkeypatch.setattr(patience, "FIRST_WAIT", 3600.0)
    monkeypatch.setattr(patience, "STRAGGLER_WAIT", 0.0)


async def test_silent_remote_server_is_left_out_of_the_list(tmp_path: Path):
    async with silent_server(tmp_path) as far:
        with anyio.fail_after(20):
            offer = await Catalog({"far": far}, lambda _: None).offer(request_of("u"), "tools/list")
        assert offer.entries == []
        assert "still starting" in offer.missing["far"]


async def test_a_list_shows_what_a_silent_server_listed_to_the_same_user_before(tmp_path: Path):
    async with silent_server(tmp_path) as far:
        before = RememberedLists(tmp_path / "lists", "far", config=digest_config(far.config))
        before.keep("u", "tools/list", READ)
        both = Catalog({"far": far}, lambda _: None)
        with anyio.fail_after(20):
            mine = await both.offer(request_of("u"), "tools/list")
            theirs = await both.offer(request_of("../u"), "tools/list")
        assert [entry.name for entry in mine.entries] == ["far__read"]
        assert mine.missing == {}
        assert theirs.entries == []


async def test_a_resource_of_a_slow_server_is_waited_for_where_it_was_listed_before(tmp_path: Path):
    async with silent_server(tmp_path) as far:
        before = RememberedLists(tmp_path / "lists", "far", config=digest_config(far.config))
        template = {"uriTemplate": "file:///{path}", "name": "any"}
        before.keep("u", "resources/templates/list", Listing({template["uriTemplate"]: template}))
        both = Catalog({"far": far}, lambda _: None)
        with anyio.fail_after(20):
            await both.offer(request_of("u"), "tools/list")
            with pytest.raises(LookupError) as caught:
                await both.find_resource(request_of("u"), "weather://paris")
        assert caught.value.args == ("far",)
        asked = asyncio.ensure_future(both.find_resource(request_of("u"), "file:///a.txt"))
        done, _ = await asyncio.wait([asked], timeout=0.05)
        assert not done  # it waits for the server that has this template
        asked.cancel()


def test_what_is_remembered_is_worth_nothing_under_another_configuration(tmp_path: Path):
    RememberedLists(tmp_path, "far", config="one").keep("u", "tools/list", READ)
    again = RememberedLists(tmp_path, "far", config="one").get("u", "tools/list")
    assert again is not None
    assert again.entries == READ.entries
    assert RememberedLists(tmp_path, "far", config="two").get("u", "tools/list") is None


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"config": "one"}', b'{"config":"one","lists":[1]}']
)
def test_a_damaged_memory_is_no_memory(tmp_path: Path, damage: bytes):
    RememberedLists(tmp_path, "far", config="one").keep("u", "tools/list", READ)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert RememberedLists(tmp_path, "far", config="one").get("u", "tools/list") is None
