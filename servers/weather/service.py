"""What the weather tools do, apart from MCP: locate, ask, build the answer."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import BaseModel

from servers.tool import RefusalError
from servers.weather import report
from servers.weather.alert import NationalWeatherService, find_hazards
from servers.weather.open_meteo import OpenMeteo, Table
from servers.weather.place import Gazetteer, Place
from servers.weather.settings import Settings
from servers.weather.variable import (
    AIR,
    CURRENT,
    DAILY,
    DAILY_PAST,
    HOURLY,
    HOURLY_PAST,
    Units,
    Variable,
)

FIRST_DAY = date(1940, 1, 1)
MOST_DAYS = 366
MOST_DAYS_HOURLY = 31
_ALERT_DAYS = 7


@dataclass(frozen=True)
class Found:
    """An answer and its readings in the order to show them."""

    answer: report.Answer
    readings: list[BaseModel]


@dataclass(frozen=True)
class Weather:
    """The weather of places, by name or coordinates.

    Args:
        settings: Where the services are.
        gazetteer: Finds places.
        open_meteo: Forecast, archive and air quality.
        warnings: Official warnings for the United States.
    """

    settings: Settings
    gazetteer: Gazetteer
    open_meteo: OpenMeteo
    warnings: NationalWeatherService

    async def now(self, place: str, units: Units) -> Found:
        """Return the current weather."""
        columns = {"current": CURRENT}
        url = self.settings.forecast_url
        return await self._answer(report.CurrentWeather, place, url, units=units, columns=columns)

    async def hours(self, place: str, hours: int, *, units: Units) -> Found:
        """Return the coming hours, beginning with the present one."""
        return await self._answer(
            report.HourlyForecast,
            place,
            self.settings.forecast_url,
            units=units,
            columns={"hourly": HOURLY},
            forecast_hours=str(hours),
            forecast_days="16",
        )

    async def days(self, place: str, days: int, *, units: Units) -> Found:
        """Return the coming days, today first."""
        return await self._answer(
            report.DailyForecast,
            place,
            self.settings.forecast_url,
            units=units,
            columns={"daily": DAILY},
            forecast_days=str(days),
        )

    async def past(
        self, place: str, start: date, *, end: date, hourly: bool, units: Units
    ) -> Found:
        """Return past days, or their hours."""
        check_span(start, end, MOST_DAYS_HOURLY if hourly else MOST_DAYS)
        return await self._answer(
            report.WeatherHistory,
            place,
            self.settings.archive_url,
            units=units,
            columns={"hourly": HOURLY_PAST} if hourly else {"daily": DAILY_PAST},
            start_date=start.isoformat(),
            end_date=end.isoformat(),
        )

    async def air(self, place: str, hours: int) -> Found:
        """Return the air's quality now and, when asked, in the coming hours."""
        columns = {"current": AIR, **({"hourly": AIR} if hours else {})}
        span = {"forecast_hours": str(hours), "forecast_days": "5"} if hours else {}
        url = self.settings.air_quality_url
        return await self._answer(
            report.AirQuality, place, url, units="metric", columns=columns, **span
        )

    async def alerts(self, place: str, units: Units) -> report.Alerts:
        """Return official warnings and computed hazards."""
        where, table = await self._ask(
            place,
            self.settings.forecast_url,
            units=units,
            columns={"daily": DAILY},
            forecast_days=str(_ALERT_DAYS),
        )
        official = await self.warnings.warnings(where)
        return report.Alerts(
            place=where,
            time_zone=table.time_zone,
            units=units,
            official_source=None if official is None else "US National Weather Service",
            official=official or [],
            forecast_hazards=find_hazards(table.readings["daily"], units),
        )

    async def _ask(
        self,
        place: str,
        url: str,
        *,
        units: Units,
        columns: dict[str, tuple[Variable, ...]],
        **query: str,
    ) -> tuple[Place, Table]:
        where = await self.gazetteer.locate(place)
        return where, await self.open_meteo.ask(
            url, where, units=units, columns=columns, query=query
        )

    async def _answer(
        self,
        model: type[report.Answer],
        place: str,
        url: str,
        *,
        units: Units,
        columns: dict[str, tuple[Variable, ...]],
        **query: str,
    ) -> Found:
        where, table = await self._ask(place, url, units=units, columns=columns, **query)
        fields: dict[str, Any] = {
            "now": next(iter(table.readings.get("current", [])), None),
            "days": table.readings.get("daily", []),
            "hours": table.readings.get("hourly", []),
        }
        common = {"place": where, "time_zone": table.time_zone, "units": units}
        picked = {k: v for k, v in fields.items() if k in model.model_fields}
        answer = model.model_validate({**common, **picked})
        return Found(answer, [r for name in picked for r in _listed(getattr(answer, name))])


def _listed(value: BaseModel | list[BaseModel]) -> list[BaseModel]:
    return value if isinstance(value, list) else [value]


def check_span(start: date, end: date, most_days: int) -> None:
    """Refuse a span of days that the archive does not hold or that is too long.

    Raises:
        RefusalError: What is wrong with it and what to give instead.
    """
    if end < start:
        raise RefusalError(f"The span ends ({end}) before it starts ({start}).", "Swap the dates.")
    if start < FIRST_DAY:
        raise RefusalError(f"The archive begins on {FIRST_DAY}.", "Give a later start.")
    days = (end - start).days + 1
    if days > most_days:
        raise RefusalError(
            f"{days} days are more than the {most_days} that one call returns.",
            "Ask for a shorter span, or several one after another.",
        )
