"""`host test-server` tells a script whether a server failed or could not be tested at all."""

import subprocess
import sys

import pytest

from tests.conformance.host_process import REPOSITORY

GONE = "http://127.0.0.1:1/mcp"


def status(*words: str) -> int:
    command = [sys.executable, "-m", "host", "test-server", *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False).returncode


@pytest.mark.parametrize("target", [GONE, "no-such-file.py"])
def test_a_server_that_is_not_there_cannot_be_tested(target: str):
    assert status(target) == 2
