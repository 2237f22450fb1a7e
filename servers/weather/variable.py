"""The measured quantities: what Open-Meteo calls each, and its field name in either unit system."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from servers.tool import RefusalError

Units = Literal["metric", "imperial"]

_SPELLINGS = {
    "c": {"°C"},
    "f": {"°F"},
    "kmh": {"km/h"},
    "mph": {"mp/h", "mph"},
    "mm": {"mm"},
    "cm": {"cm"},
    "in": {"inch", "in"},
    "m": {"m"},
    "ft": {"ft", "feet"},
}
"""How Open-Meteo spells the units that depend on the request."""


@dataclass(frozen=True)
class Variable:
    """One quantity.

    Args:
        api: Its name in requests and answers of Open-Meteo.
        stem: Our field name without the unit.
        metric: The unit as it ends the field name; empty for a pure number.
        imperial: The same in the imperial system; None when both systems use the same.
        about: What it is, for the output schema.
    """

    api: str
    stem: str
    metric: str
    about: str
    imperial: str | None = None

    def unit(self, units: Units) -> str:
        """Return the unit's ending in this system."""
        return self.imperial if units == "imperial" and self.imperial else self.metric

    def field(self, units: Units) -> str:
        """Return the field name, such as `temperature_c`."""
        unit = self.unit(units)
        return f"{self.stem}_{unit}" if unit else self.stem

    def check_unit(self, units: Units, said: str) -> None:
        """Refuse a value in another unit than the field name promises."""
        allowed = _SPELLINGS.get(self.unit(units))
        if allowed and said not in allowed:
            raise RefusalError(
                f"Open-Meteo answered {self.api} in {said!r}, not in {self.unit(units)}.",
                "Ask for the other unit system.",
            )


def _temperature(api: str, stem: str, about: str) -> Variable:
    return Variable(api, stem, "c", about, "f")


def _speed(api: str, stem: str, about: str) -> Variable:
    return Variable(api, stem, "kmh", about, "mph")


def _depth(api: str, stem: str, about: str, metric: str = "mm") -> Variable:
    return Variable(api, stem, metric, about, "in")


WEATHER_CODE = Variable("weather_code", "weather_code", "", "WMO code 4677 of the weather")

_SURFACE = (
    _temperature("temperature_2m", "temperature", "Air temperature 2 m above ground"),
    _temperature("apparent_temperature", "feels_like", "With wind, humidity and sun considered"),
    Variable("relative_humidity_2m", "humidity", "percent", "Relative humidity 2 m above ground"),
    _temperature("dew_point_2m", "dew_point", "Dew point 2 m above ground"),
    _depth("precipitation", "precipitation", "Rain, showers and snow together"),
    _depth("snowfall", "snowfall", "Fresh snow", "cm"),
    WEATHER_CODE,
    Variable("cloud_cover", "cloud_cover", "percent", "Sky covered by clouds"),
    Variable("pressure_msl", "pressure", "hpa", "Pressure reduced to sea level"),
    _speed("wind_speed_10m", "wind_speed", "Wind 10 m above ground"),
    Variable("wind_direction_10m", "wind_from", "degrees", "Where the wind comes from, 0 = north"),
    _speed("wind_gusts_10m", "wind_gusts", "Strongest gusts 10 m above ground"),
)
_VISIBILITY = Variable("visibility", "visibility", "m", "Viewing distance", "ft")
_CHANCE = Variable(
    "precipitation_probability", "precipitation_chance", "percent", "Chance of more than 0.1 mm"
)
CURRENT = (*_SURFACE, _VISIBILITY, Variable("is_day", "is_day", "", "1 by daylight, 0 at night"))
HOURLY = (*_SURFACE, _CHANCE, _VISIBILITY, Variable("uv_index", "uv_index", "", "UV index"))
HOURLY_PAST = _SURFACE
DAILY_PAST = (
    WEATHER_CODE,
    _temperature("temperature_2m_max", "temperature_max", "Warmest"),
    _temperature("temperature_2m_min", "temperature_min", "Coldest"),
    _temperature("apparent_temperature_max", "feels_like_max", "Warmest as felt"),
    _temperature("apparent_temperature_min", "feels_like_min", "Coldest as felt"),
    _depth("precipitation_sum", "precipitation", "Rain, showers and snow together"),
    _depth("snowfall_sum", "snowfall", "Fresh snow", "cm"),
    Variable("precipitation_hours", "precipitation", "hours", "Hours with rain or snow"),
    _speed("wind_speed_10m_max", "wind_speed_max", "Strongest wind"),
    _speed("wind_gusts_10m_max", "wind_gusts_max", "Strongest gusts"),
    Variable("wind_direction_10m_dominant", "wind_from", "degrees", "Main direction of the wind"),
    Variable("sunshine_duration", "sunshine", "seconds", "Time with direct sun"),
)
DAILY = (
    *DAILY_PAST,
    Variable(
        "precipitation_probability_max", "precipitation_chance", "percent", "Highest chance of rain"
    ),
    Variable("uv_index_max", "uv_index_max", "", "Highest UV index"),
)
_UGM3 = "ug_m3"
AIR = (
    Variable("european_aqi", "european_aqi", "", "European index, 0 good to 100+ extremely poor"),
    Variable("us_aqi", "us_aqi", "", "United States index, 0 good to 500 hazardous"),
    Variable("pm2_5", "pm2_5", _UGM3, "Particles below 2.5 µm"),
    Variable("pm10", "pm10", _UGM3, "Particles below 10 µm"),
    Variable("nitrogen_dioxide", "nitrogen_dioxide", _UGM3, "NO2"),
    Variable("ozone", "ozone", _UGM3, "O3"),
    Variable("sulphur_dioxide", "sulphur_dioxide", _UGM3, "SO2"),
    Variable("carbon_monoxide", "carbon_monoxide", _UGM3, "CO"),
    Variable("dust", "dust", _UGM3, "Saharan dust"),
    Variable("uv_index", "uv_index", "", "UV index"),
    Variable("alder_pollen", "alder_pollen", "grains_m3", "Europe, in season, else null"),
    Variable("birch_pollen", "birch_pollen", "grains_m3", "Europe, in season, else null"),
    Variable("grass_pollen", "grass_pollen", "grains_m3", "Europe, in season, else null"),
    Variable("ragweed_pollen", "ragweed_pollen", "grains_m3", "Europe, in season, else null"),
)


def reading_model(
    name: str, variables: tuple[Variable, ...], units: Units, extra: dict[str, Any]
) -> type[BaseModel]:
    """Build the model of one reading, every quantity a nullable number.

    Args:
        name: The model's name in the schema.
        variables: Its quantities.
        units: Which system the field names carry.
        extra: Further pydantic field definitions, placed first.
    """
    fields: dict[str, Any] = {
        v.field(units): (float | None, Field(default=None, description=v.about)) for v in variables
    }
    return create_model(name, **{**extra, **fields})
