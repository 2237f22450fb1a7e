"""The reference servers run beside ours: npm must be there, or these tests fail."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """FastMCP runs on asyncio alone."""
    return "asyncio"
