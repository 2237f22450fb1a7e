import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios

import pytest

from tests.fakes.gateway_scene import read_journal, stdio
from tests.faults.daemon import PATIENCE, Yard, open_yard

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses the tests' Linux daemons")

POLICY = """
default: allow
rules:
  - {name: later, action: deny, because: strangers spoke, match: {taint: [untrusted]}}
"""


def clear(yard: Yard, who: str) -> dict[str, list[str]]:
    """Run `host taint clear` at a real terminal, which is its own."""

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "host", "taint", "clear", who, "--json"],
            env=yard.env,
            cwd=yard.folder,
            stdin=slave,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
            start_new_session=True,
            preexec_fn=take_terminal,
        )
    finally:
        os.close(master)
        os.close(slave)
    return json.loads(done.stdout)


def test_what_a_client_met_outlives_a_killed_daemon_until_a_person_clears_it():
    with open_yard({"bad": stdio()}) as yard:
        policies = yard.folder / "home" / ".config" / "mcp-agent-host" / "policies"
        policies.mkdir(parents=True)
        (policies / "mine.yaml").write_text(POLICY)
        bridge = yard.bridge()
        # Nothing is known of this server's tools, so that they count as a stranger's.
        assert "isError" not in bridge.call("bad__echo")["result"]
        daemon = yard.daemon()
        bridge.close()
        os.kill(daemon, signal.SIGKILL)
        again = yard.bridge()
        assert "strangers spoke" in again.call("bad__echo")["result"]["content"][0]["text"]
        assert yard.daemon() != daemon
        met = yard.host("taint", "show")
        assert {(one["label"], one["source"]) for one in met} == {
            ("private", "bad__echo"),
            ("untrusted", "bad__echo"),
        }
        who = met[0]["who"]
        assert clear(yard, who) == {who: ["private", "untrusted"]}
        assert "isError" not in again.call("bad__echo")["result"]
        notes = [entry for entry in read_journal(yard.journal()) if entry["kind"] == "note"]
        assert "taint.cleared" in [note["name"] for note in notes]
