"""Open-Meteo's geocoding, forecast, archive and air quality services in their documented format.

Numbers are made up but regular: a column's value is its row number. Times follow the request, from
2026-03-28 00:00 in Berlin, the day before clocks go forward there.
"""

from typing import Any

from tests.fakes.site import Asked, Reply, Site, json_reply

START = 1_774_652_400  # 2026-03-27T23:00Z, midnight in Berlin
OFFSET = 3600
HOUR = 3600
DAY = 86_400

SPRINGFIELDS = [
    ("Springfield", "Missouri", "Greene", 37.21533, -93.29824, 169176, "US", "United States"),
    ("Springfield", "Massachusetts", "Hampden", 42.10148, -72.58981, 155929, "US", "United States"),
    ("Springfield", "Illinois", "Sangamon", 39.80172, -89.64371, 114230, "US", "United States"),
    ("Springfield", "Queensland", "Ipswich", -27.65, 152.91, 6000, "AU", "Australia"),
]
BERLINS = [
    ("Berlin", "State of Berlin", None, 52.52437, 13.41053, 3426354, "DE", "Germany"),
    ("Berlin", "New Hampshire", "Coos", 44.46867, -71.18508, 9367, "US", "United States"),
]


def _place(row: tuple[Any, ...]) -> dict[str, Any]:
    name, admin1, admin2, latitude, longitude, population, code, country = row
    return {
        "id": 1,
        "name": name,
        "latitude": latitude,
        "longitude": longitude,
        "elevation": 74.0,
        "feature_code": "PPL",
        "country_code": code,
        "timezone": "Europe/Berlin",
        "population": population,
        "country": country,
        "admin1": admin1,
        **({"admin2": admin2} if admin2 else {}),
    }


def geocode(asked: Asked) -> Reply:
    name = asked.query["name"].casefold()
    rows = {"springfield": SPRINGFIELDS, "berlin": BERLINS}.get(name)
    found = {"results": [_place(r) for r in rows]} if rows else {}
    return json_reply({**found, "generationtime_ms": 0.6})


def _unit(variable: str, query: dict[str, str]) -> str:
    inch = query.get("precipitation_unit") == "inch"
    for part, unit in (
        ("temperature", "°F" if query.get("temperature_unit") == "fahrenheit" else "°C"),
        ("dew_point", "°F" if query.get("temperature_unit") == "fahrenheit" else "°C"),
        ("direction", "°"),
        ("wind", "mp/h" if query.get("wind_speed_unit") == "mph" else "km/h"),
        ("precipitation_hours", "h"),
        ("probability", "%"),
        ("precipitation", "inch" if inch else "mm"),
        ("snowfall", "inch" if inch else "cm"),
        ("visibility", "ft" if inch else "m"),
        ("weather_code", "wmo code"),
        ("pressure", "hPa"),
    ):
        if part in variable:
            return unit
    return ""


def weather(asked: Asked) -> Reply:
    """Answer the forecast, archive or air quality service."""
    query = asked.query
    body: dict[str, Any] = {
        "latitude": float(query["latitude"]),
        "longitude": float(query["longitude"]),
        "generationtime_ms": 0.1,
        "utc_offset_seconds": OFFSET,
        "timezone": "Europe/Berlin",
        "timezone_abbreviation": "GMT+1",
        "elevation": 38.0,
    }
    lengths = {
        "current": 1,
        "hourly": int(query.get("forecast_hours", 24)),
        "daily": int(query.get("forecast_days", 2)),
    }
    for kind, length in lengths.items():
        if kind in query:
            names = query[kind].split(",")
            body[f"{kind}_units"] = {"time": "unixtime", **{n: _unit(n, query) for n in names}}
            body[kind] = _block(kind, names, length)
    return json_reply(body)


def _block(kind: str, names: list[str], length: int) -> dict[str, Any]:
    step = DAY if kind == "daily" else HOUR
    times = [START + i * step for i in range(length)]
    columns: dict[str, list[Any]] = {"time": times}
    for name in names:
        sun = name in {"sunrise", "sunset"}
        columns[name] = [t + 6 * HOUR for t in times] if sun else [float(i) for i in range(length)]
    if kind == "current":
        return {**{n: c[0] for n, c in columns.items()}, "interval": 900}
    return columns


def put_open_meteo(site: Site) -> dict[str, str]:
    """Serve all of it from `site`; returns the settings that point the weather server there."""
    site.put("/search", geocode)
    for path in ("/forecast", "/archive", "/air"):
        site.put(path, weather)
    site.put("/alerts", json_reply({"type": "FeatureCollection", "features": []}))
    return {
        "geocoding_url": f"{site.url}/search",
        "forecast_url": f"{site.url}/forecast",
        "archive_url": f"{site.url}/archive",
        "air_quality_url": f"{site.url}/air",
        "us_alerts_url": f"{site.url}/alerts",
    }
