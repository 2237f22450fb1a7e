"""The structured answers of the weather server."""

from types import GenericAlias, UnionType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from servers.weather.place import Place
from servers.weather.variable import (
    AIR,
    CURRENT,
    DAILY,
    DAILY_PAST,
    HOURLY,
    HOURLY_PAST,
    Units,
    Variable,
    reading_model,
)

SOURCE = "Open-Meteo.com, CC BY 4.0"


class Answer(BaseModel):
    """What every answer says about itself."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    place: Place
    """The place that was understood."""
    time_zone: str
    """IANA name of the zone of every time below."""
    units: Units
    """Which of the two field sets the readings carry."""
    source: str = SOURCE
    """Where the numbers come from."""


class Places(BaseModel):
    """Places that a name may mean, the likeliest first."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    places: list[Place]
    """None when nothing is known by that name."""
    source: str = "Open-Meteo.com geocoding, GeoNames, CC BY 4.0"
    """Where the places come from."""


class Warning_(BaseModel):  # noqa: N801 - `Warning` is Python's own
    """An official warning."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, title="Warning")

    event: str
    """What it warns of."""
    severity: str | None
    """Extreme, Severe, Moderate, Minor or Unknown."""
    headline: str | None
    """One line."""
    description: str | None
    """The full text."""
    instruction: str | None
    """What to do."""
    begins: str | None
    """ISO 8601."""
    ends: str | None
    """ISO 8601."""
    issued_by: str | None
    """The office that issued it."""


class Hazard(BaseModel):
    """A day on which the forecast passes a threshold; computed here, not an official warning."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    date: str
    """Local date."""
    hazard: str
    """What to expect."""
    value: float
    """The forecast number."""
    threshold: float
    """The number it reaches."""
    unit: str
    """Unit of both."""


class Alerts(Answer):
    """Official warnings where there are any, and hazards computed from the forecast."""

    official_source: str | None
    """Who was asked for official warnings; null: nobody issues them here without a key."""
    official: list[Warning_]
    """Warnings in force."""
    forecast_hazards: list[Hazard]
    """Days that pass a threshold within the next seven."""


def _pair(name: str, variables: tuple[Variable, ...], extra: dict[str, Any]) -> UnionType:
    """Build the union of the metric and the imperial model of one reading."""
    metric = reading_model(f"{name}Metric", variables, "metric", extra)
    imperial = reading_model(f"{name}Imperial", variables, "imperial", extra)
    return metric | imperial


def _answer(name: str, about: str, fields: dict[str, Any]) -> type[Answer]:
    # Made here, it has no source in which docstrings could be looked for: a tenth of a second.
    plain = {"use_attribute_docstrings": False}
    return create_model(name, __base__=Answer, __doc__=about, __cls_kwargs__=plain, **fields)


def _list(reading: object) -> object:
    return GenericAlias(list, (reading,))


_TIME = {"time": (str, Field(description="Local time, ISO 8601 with its UTC offset"))}
_DATE = {"date": (str, Field(description="Local date"))}
_CONDITION = {"condition": (str, Field(description="The weather code in words"))}
_SUN: dict[str, Any] = {
    "sunrise": (str | None, Field(default=None, description="Local time")),
    "sunset": (str | None, Field(default=None, description="Local time")),
}

Now = _pair("Now", CURRENT, {**_TIME, **_CONDITION})
Hour = _pair("Hour", HOURLY, {**_TIME, **_CONDITION})
Day = _pair("Day", DAILY, {**_DATE, **_CONDITION, **_SUN})
PastHour = _pair("PastHour", HOURLY_PAST, {**_TIME, **_CONDITION})
PastDay = _pair("PastDay", DAILY_PAST, {**_DATE, **_CONDITION, **_SUN})
Air = reading_model("Air", AIR, "metric", _TIME)

CurrentWeather = _answer("CurrentWeather", "The weather now.", {"now": (Now, ...)})
HourlyForecast = _answer("HourlyForecast", "The coming hours.", {"hours": (_list(Hour), ...)})
DailyForecast = _answer("DailyForecast", "The coming days.", {"days": (_list(Day), ...)})
WeatherHistory = _answer(
    "WeatherHistory",
    "Past weather, by day or by hour.",
    {
        "days": (_list(PastDay), Field(description="Empty when asked by hour")),
        "hours": (_list(PastHour), Field(description="Empty when asked by day")),
    },
)
AirQuality = _answer(
    "AirQuality",
    "Air quality now and in the coming hours.",
    {"now": (Air, ...), "hours": (_list(Air), Field(description="Empty unless asked for"))},
)
