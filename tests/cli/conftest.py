"""A user's home for the commands that talk with agents."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.home import Home


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="package")
def home(store_folder: Path) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="mcph-") as folder:
        found = Home(Path(folder), store_folder)
        found.agent("slow", [{"reply": "too late", "delay": 100}])
        try:
            yield found
        finally:
            found.host("stop")
