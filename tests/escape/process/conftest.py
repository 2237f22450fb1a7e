"""The arenas: every layer, the Linux minimum alone, and an ordinary user's."""

import os
import platform
import sys

import pytest

from host.sandbox.process.layer import REQUIRED
from tests.escape.process.arena import ORDINARY_UID, Arena, interpreter


def pytest_collection_modifyitems(items: list[pytest.Item]):
    if sys.platform != "linux" or platform.machine() != "x86_64":
        reason = pytest.mark.skip(reason="the attempts use x86-64 Linux system-call numbers")
        for item in items:
            if "escape/process" in item.path.as_posix():
                item.add_marker(reason)


@pytest.fixture(scope="session", params=["every layer", "linux minimum", "ordinary user"])
def arena(request: pytest.FixtureRequest):
    if request.param == "every layer":
        arena = Arena()
    elif request.param == "linux minimum":
        arena = Arena(*REQUIRED)
    else:
        if os.geteuid() != 0:
            pytest.skip("only root can become an ordinary user")
        if not interpreter(ORDINARY_UID):
            pytest.skip("no interpreter that an ordinary user can run")
        arena = Arena(user=ORDINARY_UID)
    yield arena
    arena.close()
