"""Hours and days at which a rule holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Names of days, the week's first one first."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A span of hours on some days; one that ends before it begins goes on after midnight.

    Attributes:
        days: Days on which it begins, Monday is 0.
        start: First moment.
        end: First moment after it; the same as `start` means the whole day.
        zone: Where the clock hangs; None means this machine's.
    """

    days: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo | None

    def holds(self, now: datetime) -> bool:
        """Return whether a moment, given with its zone, is inside."""
        local = now.astimezone(self.zone)
        clock = local.time()
        if self.start < self.end:
            return local.weekday() in self.days and self.start <= clock < self.end
        if clock >= self.start:
            return local.weekday() in self.days
        return clock < self.end and (local - timedelta(days=1)).weekday() in self.days


def parse_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name, such as `Europe/Berlin`.

    Raises:
        ValueError: There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"There is no time zone {name!r}; write one such as Europe/Berlin"
        ) from None


def parse_days(names: Iterable[str]) -> frozenset[int]:
    """Return days by name; none given means all."""
    return frozenset(DAYS.index(name) for name in names) or frozenset(range(7))


def parse_clock(text: str) -> time:
    """Return a time of day written `08:00`; `24:00` is midnight.

    Raises:
        ValueError: It is not one.
    """
    try:
        return time(0) if text == "24:00" else time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time of day, such as 08:00") from None
