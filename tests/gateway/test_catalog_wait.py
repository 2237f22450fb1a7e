"""How long a list waits for servers that do not answer."""

from pathlib import Path

import anyio
import pytest

from host.config.servers import ServerConfig
from host.domain.principal import Principal
from host.gateway import catalog
from host.gateway.catalog import Catalog
from host.gateway.exchange import QuietExchange, QuietSession
from host.gateway.http1.client import HttpClient
from host.gateway.oauth.authorizer import HeaderAuthorizer
from host.gateway.upstream.keeper import Keeper
from host.gateway.upstream.server import Surroundings, UpstreamServer
from tests.fakes.scripted_http import ScriptedServer, Wire


def test_silent_remote_server_is_left_out_of_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(catalog, "REMOTE_WAIT", 0.0)
    monkeypatch.setattr(catalog, "FIRST_WAIT", 3600.0)

    async def silent(wire: Wire) -> None:
        await wire.left()

    async def run() -> None:
        client = HttpClient()
        around = Surroundings(
            Keeper(), client, lambda c, m, p: None, lambda n, c: HeaderAuthorizer({}), tmp_path
        )
        async with ScriptedServer(silent).serve() as server:
            far = UpstreamServer("far", ServerConfig.model_validate({"url": server.url}), around)
            session = QuietSession(Principal(user="u", client="c", role="user"), "http")
            with anyio.fail_after(20):
                offer = await Catalog({"far": far}, lambda _: None).offer(
                    QuietExchange(session, 1), "tools/list"
                )
            assert offer.entries == []
            assert "still starting" in offer.missing["far"]
            await far.close()
        await client.close()

    anyio.run(run)
