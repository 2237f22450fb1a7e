"""Kill -9 of each process around a plugin that is in the middle of a call of another tool."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gateway_scene import stdio
from tests.fakes.misbehaviour import Json
from tests.faults.daemon import PATIENCE, Bridge, Yard, is_alive, open_yard, wait_until
from tests.plugins.shop import write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

FINE = "@tool\ndef fine():\n    return 'well'\n"
WAITS = "@tool\ndef wait():\n    return host.call_tool('bad__hang')\n"


@dataclass(frozen=True)
class Scene:
    """A daemon with two plugins, one of which is in the middle of a call that never ends."""

    yard: Yard
    bridge: Bridge
    daemon: int
    keeper: int
    zygote: int
    workers: set[int]
    waiting: Any
    """Id of the call of `evil__wait`."""


@contextlib.contextmanager
def open_scene() -> Generator[Scene]:
    with open_yard({"bad": stdio()}) as yard:
        for name, code, tools in (("other", FINE, []), ("evil", WAITS, ["bad__*"])):
            install(yard, write(yard.folder / "own", name, code, tools=tools))
        bridge = yard.bridge()
        assert text(bridge.call("other__fine")) == "well"
        waiting = bridge.send("tools/call", {"name": "evil__wait", "arguments": {}})
        assert bridge.call("bad__heard", {"kind": "hanging"})["result"]
        daemon = yard.daemon()
        (keeper,) = (pid for pid in children(daemon) if "sandbox/process/boot.py" in command(pid))
        (zygote,) = children(keeper)
        workers = children(zygote)
        yield Scene(yard, bridge, daemon, keeper, zygote, workers, waiting)


def install(yard: Yard, place: Path) -> None:
    words = [sys.executable, "-m", "host", "plugins", "install", str(place), "--yes"]
    subprocess.run(words, env=yard.env, cwd=yard.folder, check=True, timeout=PATIENCE, stdout=-3)


def text(answer: Json) -> str:
    return answer["result"]["content"][0]["text"]


def children(pid: int) -> set[int]:
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.add(int(entry.name))
    return found


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def outcomes(yard: Yard) -> dict[str, str]:
    """Return what the record says of the plugin's call and of the one it made."""
    words = [sys.executable, "-m", "host", "audit", "tail", "--lines", "100", "--json"]
    told = subprocess.run(
        words, env=yard.env, cwd=yard.folder, capture_output=True, timeout=PATIENCE, check=True
    )
    calls = [json.loads(line) for line in told.stdout.splitlines()]
    both = {"evil__wait", "bad__hang"}
    return {call["name"]: call["outcome"] for call in calls if call.get("name") in both}


@pytest.mark.parametrize("whom", ["workers", "zygote", "keeper"])
def test_a_brokered_call_whose_process_is_killed_fails_its_caller_and_nobody_else(whom: str):
    with open_scene() as scene:
        killed = {"workers": scene.workers, "zygote": {scene.zygote}, "keeper": {scene.keeper}}[
            whom
        ]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        # With the zygote all workers end, and a call may still find one that is just ending.
        wait_until(lambda: "result" in scene.bridge.call("other__fine"))
        message = scene.bridge.wait(scene.waiting)["error"]["message"]
        assert "evil died during wait" in message
        assert scene.bridge.call("bad__heard", {"kind": "cancelled"})["result"]
        expected = {"evil__wait": "error", "bad__hang": "cancelled"}
        wait_until(lambda: outcomes(scene.yard) == expected)
        everybody = scene.workers if whom == "workers" else {*scene.workers, scene.zygote}
        wait_until(lambda: not any(map(is_alive, everybody)))
        assert scene.yard.daemon() == scene.daemon


def test_a_daemon_killed_in_a_brokered_call_leaves_no_process_and_an_unknown_outcome():
    with open_scene() as scene:
        os.kill(scene.daemon, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, {scene.keeper, scene.zygote, *scene.workers})))
        message = scene.bridge.wait(scene.waiting)["error"]["message"]
        assert "whether it took effect is not known" in message
        assert text(scene.bridge.call("other__fine")) == "well"
        assert scene.yard.daemon() != scene.daemon
        expected = {"evil__wait": "unknown", "bad__hang": "unknown"}
        wait_until(lambda: outcomes(scene.yard) == expected)
