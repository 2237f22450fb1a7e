"""The weather server's tools."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any

import httpx
from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import Field

from servers.bundled import BundledServer
from servers.cache import Cache
from servers.remote import Service
from servers.tool import answer, declare
from servers.weather import report
from servers.weather.alert import NationalWeatherService
from servers.weather.open_meteo import OpenMeteo
from servers.weather.place import Gazetteer, place_cache
from servers.weather.service import Weather
from servers.weather.settings import Settings
from servers.weather.text import render_alerts, render_answer
from servers.weather.variable import Units

INSTRUCTIONS = """\
Weather anywhere, from Open-Meteo. A place is a name, narrowed after commas where it is ambiguous
(`Springfield, Illinois`), or `latitude, longitude`. Field names carry their units. Times are local
to the place."""

PlaceText = Annotated[
    str,
    Field(max_length=200, description="A name, such as `Paris` or `Paris, Texas`; or `lat, lon`"),
]
UnitsChoice = Annotated[
    Units | None, Field(description="metric or imperial; default: this server's setting")
]


def create_weather(settings: Settings, client: httpx.AsyncClient) -> Weather:
    """Wire the services that `settings` name over one connection pool."""
    timeout = settings.timeout_seconds
    service = Service("Open-Meteo", client, timeout=timeout)
    accept = {"Accept": "application/geo+json"}
    nws = Service("The US National Weather Service", client, timeout=timeout, headers=accept)
    places = place_cache(settings.cache_seconds)
    return Weather(
        settings,
        Gazetteer(service, settings.geocoding_url, settings.language, places),
        OpenMeteo(service, Cache(20_000_000, settings.cache_seconds), settings.api_key),
        NationalWeatherService(nws, settings.us_alerts_url),
    )


def create_server(settings: Settings) -> FastMCP[Any]:
    """Build the server."""
    client = httpx.AsyncClient()
    weather = create_weather(settings, client)

    @asynccontextmanager
    async def lifespan(_: FastMCP[Any]) -> AsyncGenerator[dict[str, Any]]:
        async with client:
            yield {}

    server = BundledServer(
        "weather",
        instructions=INSTRUCTIONS,
        version="1.0.0",
        lifespan=lifespan,
    )
    _add_forecasts(server, weather, settings.units)
    _add_history(server, weather, settings.units)
    _add_places_and_alerts(server, weather, settings.units)
    return server


def _add_forecasts(server: FastMCP[Any], weather: Weather, usual: Units) -> None:
    @server.tool(**declare("Current weather", report.CurrentWeather, "egress", open_world=True))
    async def current_weather(place: PlaceText, units: UnitsChoice = None) -> ToolResult:
        """Weather now: temperature, feel, humidity, rain, snow, clouds, pressure, wind."""
        found = await weather.now(place, units or usual)
        return answer(render_answer("Now", found.answer, found.readings), found.answer)

    @server.tool(**declare("Hourly forecast", report.HourlyForecast, "egress", open_world=True))
    async def hourly_forecast(
        place: PlaceText,
        hours: Annotated[int, Field(ge=1, le=384, description="How many, from now")] = 24,
        units: UnitsChoice = None,
    ) -> ToolResult:
        """Weather hour by hour, from the present hour to 16 days ahead."""
        found = await weather.hours(place, hours, units=units or usual)
        return answer(render_answer("By hour", found.answer, found.readings), found.answer)

    @server.tool(**declare("Daily forecast", report.DailyForecast, "egress", open_world=True))
    async def daily_forecast(
        place: PlaceText,
        days: Annotated[int, Field(ge=1, le=16, description="How many, from today")] = 7,
        units: UnitsChoice = None,
    ) -> ToolResult:
        """Weather day by day, up to 16 days ahead, with sunrise and sunset."""
        found = await weather.days(place, days, units=units or usual)
        return answer(render_answer("By day", found.answer, found.readings), found.answer)


def _add_history(server: FastMCP[Any], weather: Weather, usual: Units) -> None:
    @server.tool(**declare("Past weather", report.WeatherHistory, "egress", open_world=True))
    async def weather_history(
        place: PlaceText,
        start: Annotated[date, Field(description="First day, from 1940-01-01 on")],
        end: Annotated[date, Field(description="Last day; the newest few may be missing")],
        hourly: Annotated[bool, Field(description="By hour, at most 31 days a call")] = False,
        units: UnitsChoice = None,
    ) -> ToolResult:
        """Past weather from reanalysis since 1940, by day (366 days a call) or by hour (31)."""
        found = await weather.past(place, start, end=end, hourly=hourly, units=units or usual)
        return answer(render_answer("Past", found.answer, found.readings), found.answer)

    @server.tool(**declare("Air quality", report.AirQuality, "egress", open_world=True))
    async def air_quality(
        place: PlaceText,
        hours: Annotated[int, Field(ge=0, le=120, description="Forecast hours beside now")] = 0,
    ) -> ToolResult:
        """Air quality: European and US index, particles, gases, UV, pollen (Europe, in season)."""
        found = await weather.air(place, hours)
        return answer(render_answer("Air", found.answer, found.readings), found.answer)


def _add_places_and_alerts(server: FastMCP[Any], weather: Weather, usual: Units) -> None:
    @server.tool(**declare("Find a place", report.Places, "untrusted", "egress", open_world=True))
    async def find_place(
        name: PlaceText,
        most: Annotated[int, Field(ge=1, le=100, description="How many at most")] = 10,
    ) -> ToolResult:
        """Places a name or postcode may mean, with region, country, time zone, population."""
        found = report.Places(places=await weather.gazetteer.find(name, most=most))
        lines = [
            f"{p.label()} ({p.latitude:.4f}, {p.longitude:.4f}), {p.time_zone}"
            for p in found.places
        ]
        text = "\n".join(lines) or f"No place named {name!r} is known; check the spelling."
        return answer(text, found)

    @server.tool(**declare("Weather alerts", report.Alerts, "untrusted", "egress", open_world=True))
    async def weather_alerts(place: PlaceText, units: UnitsChoice = None) -> ToolResult:
        """Official warnings (United States only) and hazards computed from the 7-day forecast.

        Open-Meteo publishes no warnings. Outside the United States the answer says that no
        official source was asked; the computed hazards are numbers, not a warning service.
        """
        found = await weather.alerts(place, units or usual)
        return answer(render_alerts(found), found)
