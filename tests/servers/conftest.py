"""Fixtures shared by the tests of bundled servers."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """FastMCP runs on asyncio alone."""
    return "asyncio"
