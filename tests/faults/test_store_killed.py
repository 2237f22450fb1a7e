"""PostgreSQL dies beside a living daemon: nothing that was told is unknown afterwards."""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from host.storage.embedded import EmbeddedServer
from tests.fakes.home import Home
from tests.storage.fixtures import wait_for_end

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are Unix's")


def kill_store(folder: Path, user: EmbeddedServer) -> None:
    """Kill the server, and have another user of it start it anew, elsewhere."""
    process = int((user.cluster / "postmaster.pid").read_text().split()[0])
    os.kill(process, signal.SIGKILL)
    wait_for_end(user)
    user.acquire()


def test_runs_after_the_store_was_killed_are_stored_when_they_end(data_folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="mcph-") as folder:
        home = Home(Path(folder), data_folder)
        home.agent("echo", [{"reply": "You said: ${prompt}"}])
        user = EmbeddedServer(data_folder, linger=0.0)
        try:
            for count in range(1, 5):
                said = json.loads(home.host("run", "echo", "hello", "--json").stdout)
                assert said["notes"] == []
                listed = json.loads(home.host("runs", "list", "--json").stdout)
                newest = listed[0]
                assert (newest["id"], newest["status"]) == (said["run"], "succeeded")
                assert len(listed) == count
                kill_store(data_folder, user)
        finally:
            home.host("stop")
            user.release()
