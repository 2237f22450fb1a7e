"""Places: finds coordinates for what a caller writes, and says when a name means several."""

import re
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from servers.cache import Cache
from servers.remote import Service
from servers.tool import RefusalError

_COORDINATES = re.compile(r"\s*([+-]?\d{1,3}(?:\.\d+)?)\s*[,; ]\s*([+-]?\d{1,3}(?:\.\d+)?)\s*")
_CLEAR_LEAD = 5
"""A namesake this many times smaller in population is not asked about."""
_DAY_SECONDS = 86_400


class Place(BaseModel):
    """A place on Earth."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    """Its name, or its coordinates when none was given."""
    latitude: float
    """Degrees north."""
    longitude: float
    """Degrees east."""
    region: str | None = None
    """State, province or the like."""
    district: str | None = None
    """County or the like, below the region."""
    country: str | None = None
    """Country in words."""
    country_code: str | None = None
    """ISO 3166-1 alpha-2."""
    time_zone: str | None = None
    """IANA name, such as Europe/Berlin."""
    elevation_m: float | None = None
    """Height above sea level."""
    population: int | None = None
    """People who live there."""

    def label(self) -> str:
        """Return what tells it from its namesakes; accepted again as a place."""
        parts = (self.name, self.district, self.region, self.country)
        kept = [p for i, p in enumerate(parts) if p and p not in parts[:i]]
        return ", ".join(kept)


@dataclass(frozen=True)
class Gazetteer:
    """Turns what a caller writes into places, by Open-Meteo's geocoding service."""

    service: Service
    url: str
    language: str
    cache: Cache[list[Place]]

    async def find(self, text: str, *, most: int = 10) -> list[Place]:
        """Return the places that `text` may mean, the likeliest first.

        Args:
            text: A name or postcode, narrowed after commas: `Springfield, Illinois, US`.
            most: How many at most.
        """
        name, *narrower = [part.strip() for part in text.split(",") if part.strip()] or [""]
        if len(name) < 2:
            raise RefusalError(
                f"{text!r} is too short for a place name.",
                "Give two letters or more, or coordinates as `latitude, longitude`.",
            )
        places = [p for p in await self._named(name) if all(_is_in(p, n) for n in narrower)]
        return places[:most]

    async def locate(self, text: str) -> Place:
        """Return the one place that `text` means.

        Raises:
            RefusalError: There is none, or several and none clearly the largest.
        """
        given = parse_coordinates(text)
        if given:
            return given
        places = await self.find(text)
        if not places:
            raise await self._unknown(text)
        first, *others = places
        rivals = [p for p in others if _rivals(first, p)]
        if rivals:
            listed = "\n".join(_line(p) for p in [first, *rivals])
            raise RefusalError(
                f"{text!r} means several places:\n{listed}\n",
                "Call again with one of these lines' names or coordinates.",
            )
        return first

    async def _unknown(self, text: str) -> RefusalError:
        name = text.split(",", maxsplit=1)[0].strip()
        elsewhere = await self._named(name) if "," in text else []
        if elsewhere:
            listed = "\n".join(_line(p) for p in elsewhere[:5])
            return RefusalError(
                f"No place named {text!r} is known; {name!r} is:\n{listed}\n",
                "Call again with one of these lines' names or coordinates.",
            )
        return RefusalError(
            f"No place named {text!r} is known.",
            "Check the spelling, try a larger town nearby, or give `latitude, longitude`.",
        )

    async def _named(self, name: str) -> list[Place]:
        key = (name.casefold(), self.language)
        known = self.cache.get(key)
        if known is not None:
            return known
        query = {"name": name, "count": "100", "language": self.language, "format": "json"}
        found = await self.service.get(self.url, query)
        rows = cast("list[dict[str, Any]]", found.get("results") or [])
        places = [_parse_place(row) for row in rows]
        self.cache.put(key, places, size=200 * (1 + len(places)))
        return places


def place_cache(seconds: float) -> Cache[list[Place]]:
    """Make the cache of looked-up names; they change rarely, so a day when caching at all."""
    return Cache(4_000_000, _DAY_SECONDS if seconds else 0)


def parse_coordinates(text: str) -> Place | None:
    """Read `52.5, 13.4`; None when `text` is not two numbers.

    Raises:
        RefusalError: The numbers lie outside the Earth's.
    """
    match = _COORDINATES.fullmatch(text)
    if match is None:
        return None
    latitude, longitude = float(match[1]), float(match[2])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise RefusalError(
            f"{text!r} is outside latitude -90 to 90 and longitude -180 to 180.",
            "Latitude comes first.",
        )
    return Place(name=f"{latitude:g}, {longitude:g}", latitude=latitude, longitude=longitude)


def _parse_place(row: dict[str, Any]) -> Place:
    try:
        return Place(
            name=_plain(row["name"]) or "",
            latitude=row["latitude"],
            longitude=row["longitude"],
            region=_plain(row.get("admin1")),
            district=_plain(row.get("admin2")),
            country=_plain(row.get("country")),
            country_code=row.get("country_code"),
            time_zone=row.get("timezone"),
            elevation_m=row.get("elevation"),
            population=row.get("population"),
        )
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise RefusalError(
            "Open-Meteo's geocoding answered with a place that has no name or coordinates.",
            "Give `latitude, longitude` instead.",
        ) from error


def _plain(name: str | None) -> str | None:
    """Keep a name a name: volunteers write them, and text for a model could hide in one."""
    if name is None:
        return None
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())[:80]


def _is_in(place: Place, part: str) -> bool:
    wanted = part.casefold()
    known = (place.region, place.district, place.country, place.country_code)
    return any(k and (k.casefold() == wanted or wanted in k.casefold().split()) for k in known)


def _rivals(first: Place, other: Place) -> bool:
    """Tell whether `other` is a namesake that may have been meant as well."""
    if other.name.casefold() != first.name.casefold():
        return False
    if first.population and (other.population or 0) * _CLEAR_LEAD <= first.population:
        return False
    near = (
        abs(other.latitude - first.latitude) < 0.2 and abs(other.longitude - first.longitude) < 0.2
    )
    return not near


def _line(place: Place) -> str:
    people = f", population {place.population:,}" if place.population else ""
    return f"- {place.label()} ({place.latitude:.4f}, {place.longitude:.4f}{people})"
