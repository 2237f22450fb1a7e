"""Whether every call of the benchmark was recorded and its record brought into the store."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

from tests.conformance.host_process import RunningHost

LOAD_SECONDS = 60.0
"""How long the loader may take to bring in what the last load left."""


@dataclass(frozen=True)
class Records:
    """What became of the records.

    Attributes:
        calls: Calls that were answered; each has an intent and an outcome.
        loaded: Lines in the store.
        seconds: How long the loader needed after the last call.
        verdict: What `host audit verify` says.
    """

    calls: int
    loaded: int
    seconds: float
    verdict: str

    def line(self) -> str:
        """Return the line that is printed."""
        share = "all" if self.loaded >= 2 * self.calls else "NOT ALL"
        return (
            f"Records: {share} of {self.calls} calls ({self.loaded} lines) were in the store "
            f"{self.seconds:.1f} s after the last call; {self.verdict}"
        )


def _loaded(host: RunningHost) -> int:
    places = (host.folder / "data" / "journal").glob("*/loaded.json")
    return sum(json.loads(place.read_text())["sequence"] for place in places)


def check_records(host: RunningHost, calls: int) -> Records:
    """Wait for the loader, then have the record verified."""
    start = time.monotonic()
    while _loaded(host) < 2 * calls and time.monotonic() - start < LOAD_SECONDS:
        time.sleep(0.1)
    seconds, loaded = time.monotonic() - start, _loaded(host)
    found = subprocess.run(
        [sys.executable, "-m", "host", "audit", "verify"],
        env={**host.env, "HOST_CONFIG": str(host.config)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    verdict = (found.stdout or found.stderr).strip().splitlines()[-1:]
    return Records(calls, loaded, seconds, *verdict)
