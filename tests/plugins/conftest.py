"""Plugins run on asyncio, as the daemon does, and only on Linux are they confined enough."""

import sys

import pytest

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
