"""The settings of the weather server."""

from typing import Literal

from pydantic import Field, SecretStr

from servers.launch import ServerSettings


class Settings(ServerSettings):
    """Serve weather from Open-Meteo to MCP clients; no key is needed."""

    units: Literal["metric", "imperial"] = "metric"
    """Units of an answer when the caller names none."""
    language: str = "en"
    """Two-letter code of the language of place names."""
    cache_seconds: float = Field(default=600, ge=0)
    """How long an answer is reused, in seconds; 0 asks every time. Places are kept a day."""
    timeout_seconds: float = Field(default=20, gt=0)
    """Longest wait for one answer of a service, in seconds."""
    api_key: SecretStr | None = None
    """Key of a commercial Open-Meteo subscription; None uses the free service."""
    geocoding_url: str = "https://geocoding-api.open-meteo.com/v1/search"
    """Where names become coordinates."""
    forecast_url: str = "https://api.open-meteo.com/v1/forecast"
    """Where current weather and forecasts come from."""
    archive_url: str = "https://archive-api.open-meteo.com/v1/archive"
    """Where past weather comes from."""
    air_quality_url: str = "https://air-quality-api.open-meteo.com/v1/air-quality"
    """Where air quality comes from."""
    us_alerts_url: str = "https://api.weather.gov/alerts/active"
    """Where official warnings for the United States come from; empty asks nobody."""
