"""The backend, the broker and a pool of the process tests; they need Linux."""

import sys
from collections.abc import AsyncGenerator

import pytest

from host.sandbox.pool import SandboxPool
from tests.sandbox.process.recording import RecordingBroker, open_pool

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture
def broker():
    return RecordingBroker()


@pytest.fixture(scope="module")
async def pool() -> AsyncGenerator[SandboxPool]:
    """One zygote for all tests of a module that do not harm it."""
    async with open_pool() as pool:
        yield pool
