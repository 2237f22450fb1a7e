"""Warnings: the official ones of the United States, and hazards computed from any forecast."""

from dataclasses import dataclass
from typing import Any, cast

from servers.remote import Service, ServiceError
from servers.weather.place import Place
from servers.weather.report import Hazard, Warning_
from servers.weather.variable import Units

US_CODES = {"US", "PR", "VI", "GU", "AS", "MP"}
_NOT_COVERED = {400, 404}


@dataclass(frozen=True)
class Threshold:
    """A number from which a day of the forecast is called a hazard.

    Args:
        stem: The reading without its unit.
        metric: The number in `metric_unit`.
        imperial: The number in `imperial_unit`.
        hazard: What to call it.
    """

    stem: str
    metric: float
    metric_unit: str
    imperial: float
    imperial_unit: str
    hazard: str


# The magnitudes at which European weather services commonly begin to warn; Beaufort 9 for gusts.
THRESHOLDS = (
    Threshold("wind_gusts_max", 75, "kmh", 47, "mph", "severe gale gusts"),
    Threshold("precipitation", 50, "mm", 2, "in", "heavy precipitation"),
    Threshold("snowfall", 15, "cm", 6, "in", "heavy snowfall"),
    Threshold("feels_like_max", 38, "c", 100, "f", "dangerous heat"),
)
COLD = Threshold("feels_like_min", -20, "c", -4, "f", "dangerous cold")
_CODES = {
    56: "freezing drizzle",
    57: "freezing drizzle",
    66: "freezing rain",
    67: "freezing rain",
    95: "thunderstorm",
    96: "thunderstorm with hail",
    99: "thunderstorm with hail",
}


def find_hazards(days: list[dict[str, Any]], units: Units) -> list[Hazard]:
    """Return the thresholds that daily readings pass, in order of date."""
    return [hazard for day in days for hazard in _hazards(day, units)]


def _hazards(day: dict[str, Any], units: Units) -> list[Hazard]:
    found: list[Hazard] = []
    for rule in (*THRESHOLDS, COLD):
        limit, unit = (
            (rule.metric, rule.metric_unit)
            if units == "metric"
            else (rule.imperial, rule.imperial_unit)
        )
        value = day.get(f"{rule.stem}_{unit}")
        if value is None:
            continue
        if (value <= limit) if rule is COLD else (value >= limit):
            found.append(_hazard(day, rule.hazard, value, limit=limit, unit=unit))
    code = day.get("weather_code")
    if code in _CODES:
        found.append(_hazard(day, _CODES[code], code, limit=code, unit="WMO code"))
    return found


def _hazard(day: dict[str, Any], hazard: str, value: float, *, limit: float, unit: str) -> Hazard:
    return Hazard(date=day["date"], hazard=hazard, value=value, threshold=limit, unit=unit)


@dataclass(frozen=True)
class NationalWeatherService:
    """The United States' National Weather Service, which needs no key."""

    service: Service
    url: str

    async def warnings(self, place: Place) -> list[Warning_] | None:
        """Return the warnings in force, or None where this service issues none."""
        if not self.url or place.country_code not in {*US_CODES, None}:
            return None
        try:
            body = await self.service.get(
                self.url, {"point": f"{place.latitude:.4f},{place.longitude:.4f}"}
            )
        except ServiceError as error:
            # Coordinates without a country are asked about; outside its area it says so.
            if place.country_code is None and error.status in _NOT_COVERED:
                return None
            raise
        features = body.get("features")
        listed = cast("list[object]", features) if isinstance(features, list) else []
        return [_warning(row) for row in map(_properties, listed) if row]


def _properties(feature: object) -> dict[str, Any]:
    return _members(_members(feature).get("properties"))


def _members(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _warning(row: dict[str, Any]) -> Warning_:
    return Warning_(
        event=str(row.get("event") or "Warning"),
        severity=row.get("severity"),
        headline=row.get("headline"),
        description=row.get("description"),
        instruction=row.get("instruction"),
        begins=row.get("onset") or row.get("effective"),
        ends=row.get("ends") or row.get("expires"),
        issued_by=row.get("senderName"),
    )
