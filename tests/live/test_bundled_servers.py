"""Real services; run by naming this file, where there is internet.

`HOST_LIVE_BRAVE`, `HOST_LIVE_TAVILY`, `HOST_LIVE_OPENAI` and `HOST_LIVE_GEMINI` hold keys,
`HOST_LIVE_SEARXNG` an address, `HOST_LIVE_OLLAMA` and `HOST_LIVE_FASTEMBED` a model's name; what is
not set is passed over.
"""

import math
import os
from typing import Any

import pytest
from fastmcp import Client
from pydantic import TypeAdapter

from host.memory.config import EmbedderConfig
from host.memory.embedder import create_embedder
from servers.search.server import create_server as create_search
from servers.search.settings import Settings as SearchSettings
from servers.weather.server import create_server as create_weather
from servers.weather.settings import Settings as WeatherSettings
from tests.fakes.mcp_call import ask

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def given(name: str) -> str:
    """Return what `HOST_LIVE_NAME` holds."""
    value = os.environ.get(f"HOST_LIVE_{name}", "")
    if not value:
        pytest.skip(f"HOST_LIVE_{name} is not set")
    return value


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


@pytest.mark.parametrize(
    ("provider", "setting"),
    [("brave", "brave_key"), ("tavily", "tavily_key"), ("searxng", "searxng_url")],
)
async def test_every_other_provider_finds_pages(provider: str, setting: str):
    settings = {"providers": [provider], setting: given(provider.upper())}
    async with Client(create_search(SearchSettings.model_validate(settings))) as client:
        found = await ask(
            client, "web_search", query="Python programming language", count=3, freshness="year"
        )

    assert (found["provider"], found["failed"]) == (provider, [])
    assert 0 < len(found["hits"]) <= 3
    assert all(hit["url"].startswith("http") and hit["title"] for hit in found["hits"])


async def test_a_pdf_and_a_redirected_page_can_be_read():
    async with Client(create_search(SearchSettings())) as client:
        pdf = await ask(
            client, "fetch", url="https://www.rfc-editor.org/rfc/pdfrfc/rfc9110.txt.pdf"
        )
        page = await ask(client, "fetch", url="http://python.org/")

    assert "HTTP Semantics" in pdf["text"]
    assert page["url"].startswith("https://www.python.org")


@pytest.mark.parametrize("kind", ["openai", "gemini", "ollama", "fastembed"])
async def test_every_embedder_puts_like_beside_like(kind: str):
    value = given(kind.upper())
    wanted: dict[str, Any] = {
        "type": kind,
        "model" if kind in {"ollama", "fastembed"} else "key": value,
    }
    config: EmbedderConfig = TypeAdapter(EmbedderConfig).validate_python(wanted)
    texts = ["The cat sleeps on the sofa.", "A kitten naps on the couch.", "Shares fell sharply."]

    cat, kitten, shares = await create_embedder(config).embed(texts, "record")

    assert cosine(cat, kitten) > cosine(cat, shares)


def cosine(one: list[float], other: list[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other))
