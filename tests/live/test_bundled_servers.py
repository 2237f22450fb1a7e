"""Real services; run by naming this file, where there is internet."""

import pytest
from fastmcp import Client

from servers.search.server import create_server as create_search
from servers.search.settings import Settings as SearchSettings
from servers.weather.server import create_server as create_weather
from servers.weather.settings import Settings as WeatherSettings
from tests.fakes.mcp_call import ask

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("units", ["metric", "imperial"])
@pytest.mark.parametrize(
    "tool", ["current_weather", "hourly_forecast", "daily_forecast", "weather_alerts"]
)
async def test_open_meteo_answers_every_forecast(tool: str, units: str):
    async with Client(create_weather(WeatherSettings())) as client:
        found = await ask(client, tool, place="Denver, Colorado", units=units)

    assert found["time_zone"] == "America/Denver"


async def test_open_meteo_answers_history_and_air():
    async with Client(create_weather(WeatherSettings())) as client:
        past = await ask(
            client, "weather_history", place="Berlin", start="2020-01-01", end="2020-01-02"
        )
        air = await ask(client, "air_quality", place="Berlin", hours=2)

    assert [d["date"] for d in past["days"]] == ["2020-01-01", "2020-01-02"]
    assert air["now"]["pm2_5_ug_m3"] is not None


async def test_duckduckgo_finds_pages_and_one_can_be_read():
    async with Client(create_search(SearchSettings())) as client:
        found = await ask(client, "web_search", query="Python programming language")
        page = await ask(client, "fetch", url="https://example.com/")

    assert found["hits"]
    assert page["title"] == "Example Domain"
