"""A weather server in front of a local Open-Meteo."""

from collections.abc import AsyncGenerator, Generator

import pytest
from fastmcp import Client

from servers.weather.server import create_server
from servers.weather.settings import Settings
from tests.fakes.mcp_call import Caller
from tests.fakes.open_meteo import put_open_meteo
from tests.fakes.site import Site, serve_site


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def site() -> Generator[Site]:
    with serve_site() as site:
        yield site


@pytest.fixture
def urls(site: Site) -> dict[str, str]:
    return put_open_meteo(site)


@pytest.fixture
async def client(urls: dict[str, str]) -> AsyncGenerator[Caller]:
    settings = Settings.model_validate({**urls, "timeout_seconds": 5})
    async with Client(create_server(settings)) as client:
        yield client
