"""A user's home for the commands that talk with agents."""

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.fakes.home import Home


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def home(store_folder: Path) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="mcph-") as folder:
        found = Home(Path(folder), store_folder)
        found.agent("slow", [{"reply": "too late", "delay": 100}])
        try:
            yield found
        finally:
            found.host("stop")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the daemon has logged beside a test that failed with it."""
    report = yield
    home = getattr(item, "funcargs", {}).get("home")
    if report.failed and isinstance(home, Home):
        report.sections.append(("The daemon's log", home.log_tail()))
    return report
