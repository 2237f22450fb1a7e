"""The backend and the broker of the process tests; they need Linux."""

import sys

import pytest

from tests.sandbox.process.recording import RecordingBroker

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def broker():
    return RecordingBroker()
