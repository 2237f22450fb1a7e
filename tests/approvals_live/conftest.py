"""Runs this folder's asynchronous tests on asyncio, the event loop that the daemon uses."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
