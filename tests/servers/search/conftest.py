"""A site on loopback, which these tests allow by exception, and a search server."""

from collections.abc import AsyncGenerator, Generator

import pytest
from fastmcp import Client

from servers.search.server import create_server
from servers.search.settings import Settings
from tests.fakes.mcp_call import Caller
from tests.fakes.site import Site, serve_site


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def site() -> Generator[Site]:
    with serve_site() as site:
        yield site


@pytest.fixture
def settings() -> Settings:
    return Settings.model_validate(
        {
            "allow_networks": ["127.0.0.1/32"],
            "host_interval_seconds": 0,
            "max_page_bytes": 1_000_000,
            "timeout_seconds": 10,
        }
    )


@pytest.fixture
async def client(settings: Settings) -> AsyncGenerator[Caller]:
    async with Client(create_server(settings)) as client:
        yield client
