"""Approvals run on asyncio, as the store does."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
