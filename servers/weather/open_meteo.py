"""Asks Open-Meteo's services and turns their columns into readings with local times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from servers.cache import Cache
from servers.remote import Service
from servers.tool import RefusalError
from servers.weather.condition import describe_condition
from servers.weather.place import Place
from servers.weather.variable import WEATHER_CODE, Units, Variable

_UNIT_QUERY = {
    "temperature_unit": "fahrenheit",
    "wind_speed_unit": "mph",
    "precipitation_unit": "inch",
}


@dataclass(frozen=True)
class Table:
    """One answer of a service: its readings by kind, as keyword arguments of the models."""

    time_zone: str
    readings: dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class OpenMeteo:
    """The forecast, archive and air quality services, which share one format."""

    service: Service
    cache: Cache[Table]
    api_key: SecretStr | None = None

    async def ask(
        self,
        url: str,
        place: Place,
        *,
        units: Units,
        columns: dict[str, tuple[Variable, ...]],
        query: dict[str, str],
    ) -> Table:
        """Ask one service for one place.

        Args:
            url: The service.
            place: Where.
            units: In which system.
            columns: The quantities by kind: `current`, `hourly`, `daily`.
            query: Further parameters, such as `forecast_days`.
        """
        asked = {
            "latitude": f"{place.latitude:.4f}",
            "longitude": f"{place.longitude:.4f}",
            # Times as Unix seconds: local times without an offset are ambiguous when clocks change.
            "timeformat": "unixtime",
            "timezone": "auto",
            **{kind: ",".join(_names(kind, variables)) for kind, variables in columns.items()},
            **(_UNIT_QUERY if units == "imperial" else {}),
            **query,
        }
        key = (url, *sorted(asked.items()))
        known = self.cache.get(key)
        if known is not None:
            return known
        secret = {"apikey": self.api_key.get_secret_value()} if self.api_key else {}
        body = await self.service.get(url, {**asked, **secret})
        table = _parse_table(body, columns, units)
        self.cache.put(key, table, size=500 * (1 + sum(map(len, table.readings.values()))))
        return table


def _names(kind: str, variables: Sequence[Variable]) -> list[str]:
    sun = ["sunrise", "sunset"] if kind == "daily" else []
    return [v.api for v in variables] + sun


def _parse_table(
    body: dict[str, Any], columns: dict[str, tuple[Variable, ...]], units: Units
) -> Table:
    try:
        zone = _zone(body)
        offset = int(body["utc_offset_seconds"])
        readings = {
            kind: [
                _reading(row, variables, units, zone=zone, offset=offset)
                for row in _rows(body, kind, variables, units=units)
            ]
            for kind, variables in columns.items()
        }
        return Table(str(body["timezone"]), readings)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise RefusalError(
            f"Open-Meteo's answer lacks what was asked for ({type(error).__name__}: {error}).",
            "Try again later; another time span or place may work.",
        ) from error


def _zone(body: dict[str, Any]) -> tzinfo:
    try:
        return ZoneInfo(body["timezone"])
    except (KeyError, ValueError, OSError):  # the local zone data may be older than the service's
        return timezone(timedelta(seconds=int(body["utc_offset_seconds"])))


def _rows(
    body: dict[str, Any], kind: str, variables: Sequence[Variable], *, units: Units
) -> list[dict[str, Any]]:
    """Return one dict a reading, whether the service answered a row or columns."""
    said = body[f"{kind}_units"]
    for variable in variables:
        variable.check_unit(units, said.get(variable.api, ""))
    block = body[kind]
    if kind == "current":
        return [block]
    length = len(block["time"])
    return [{name: column[i] for name, column in block.items()} for i in range(length)]


def _reading(
    row: dict[str, Any],
    variables: Sequence[Variable],
    units: Units,
    *,
    zone: tzinfo,
    offset: int,
) -> dict[str, Any]:
    reading: dict[str, Any] = {v.field(units): row.get(v.api) for v in variables}
    reading["time"] = datetime.fromtimestamp(row["time"], zone).isoformat()
    # A day's Unix time is local midnight by the answer's one offset, whatever the season.
    reading["date"] = datetime.fromtimestamp(row["time"] + offset, UTC).date().isoformat()
    if WEATHER_CODE in variables:
        reading["condition"] = describe_condition(row.get(WEATHER_CODE.api))
    for name in ("sunrise", "sunset"):
        if row.get(name):
            reading[name] = datetime.fromtimestamp(row[name], zone).isoformat()
    return reading
