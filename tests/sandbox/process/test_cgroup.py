"""Cgroups: used where a group was handed to the host alone, and never anywhere else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from host.sandbox.process.cgroup import claim

ROOT = Path(__file__).parents[3]

INSIDE = """
import json, anyio
from host.domain.errors import PluginDiedError
from host.sandbox.config import MEBIBYTE, Limits, SandboxConfig
from host.sandbox.pool import SandboxPool
from host.sandbox.process.cgroup import claim
from host.sandbox.process.layer import STOPS
from tests.sandbox.process.recording import LOADER, RecordingBroker

SOURCE = '''
@tool
def fill(mebibytes: int):
    return len(bytearray(mebibytes << 20))
'''

async def main():
    try:
        groups = claim()
    except OSError as error:
        return {"skip": str(error)}
    found = {}
    # Without resource limits, so that it is the group that holds.
    layers = [name for name in STOPS if name != "rlimits"]
    settings = SandboxConfig(confinement="reduced", pool_size=0)
    async with SandboxPool(settings, loader=LOADER, layers=layers) as pool:
        limits = Limits(memory_bytes=32 * MEBIBYTE)
        worker = await pool.start(
            SOURCE, plugin="p", tenant="t", broker=RecordingBroker(), limits=limits
        )
        (place,) = [one for one in groups.group.iterdir() if one.is_dir()]
        found["pids"] = [int(one) for one in (place / "cgroup.procs").read_text().split()]
        found["worker"] = worker.pid
        for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max"):
            found[name] = (place / name).read_text().strip() if (place / name).exists() else None
        found["small"] = (await worker.call("fill", {"mebibytes": 8}, timeout=60)).value
        try:
            await worker.call("fill", {"mebibytes": 512}, timeout=60)
        except PluginDiedError as error:
            found["large"] = str(error)
        found["again"] = (await worker.call("fill", {"mebibytes": 8}, timeout=60)).value
        found["gone"] = not place.exists()
        report = await pool.warm()
        found["active"] = [one.name for one in report.layers if one.active]
    return found

print(json.dumps(anyio.run(main)))
"""


@pytest.fixture(scope="module")
def inside() -> dict[str, object]:
    """What a pool in a process of its own finds; a group has to be handed to it for that."""
    outcome = subprocess.run(
        [sys.executable, "-c", INSIDE],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert outcome.returncode == 0, outcome.stderr
    found: dict[str, object] = json.loads(outcome.stdout)
    if "skip" in found:
        pytest.skip(f"no cgroup for the host: {found['skip']}")
    return found


def test_each_worker_is_alone_in_a_group_with_limits(inside: dict[str, object]):
    assert "cgroup" in str(inside["active"])
    assert inside["pids"] == [inside["worker"]]
    assert inside["memory.max"] == str((32 + 64) << 20)
    assert inside["pids.max"] == "1"
    assert inside["memory.swap.max"] in ("0", None)
    assert inside["cpu.max"] in ("100000 100000", None)


def test_worker_that_fills_its_group_is_ended_and_starts_again(inside: dict[str, object]):
    assert inside["small"] == inside["again"] == 8 << 20
    assert "for want of memory" in str(inside["large"])


def test_group_of_an_ended_worker_is_removed(inside: dict[str, object]):
    assert inside["gone"] is True


def tree(
    folder: Path, *, controllers: str = "cpu memory pids", procs: str = ""
) -> tuple[Path, Path]:
    """Make what a tree of cgroups and /proc look like to a process in the group `mine`."""
    mine, process = folder / "tree" / "mine", folder / "process"
    mine.mkdir(parents=True)
    process.mkdir()
    (mine / "cgroup.controllers").write_text(controllers)
    (mine / "cgroup.procs").write_text(procs)
    (mine / "cgroup.subtree_control").write_text("")
    (process / "cgroup").write_text("3:cpu:/old\n0::/mine\n")
    return folder / "tree", process


def mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the group count as handed over, for a root that runs the tests as well."""

    def marked(*_: object) -> bytes:
        return b"1"

    monkeypatch.setattr(os, "getxattr", marked)


def test_group_that_was_not_handed_over_is_left_alone(tmp_path: Path):
    place, process = tree(tmp_path)
    if os.geteuid() != 0:
        (place / "mine" / "cgroup.procs").chmod(0o444)
    with pytest.raises(OSError, match="was not handed to the host"):
        claim(tree=place, process=process)
    assert sorted(one.name for one in (place / "mine").iterdir() if one.is_dir()) == []


def test_group_with_somebody_elses_process_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mark(monkeypatch)
    place, process = tree(tmp_path, procs=f"{os.getpid()}\n1\n")
    with pytest.raises(OSError, match="also holds process 1, which is not the host's"):
        claim(tree=place, process=process)
    assert (place / "mine" / "cgroup.subtree_control").read_text() == ""


def test_group_without_controllers_is_of_no_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mark(monkeypatch)
    place, process = tree(tmp_path, controllers="cpu")
    with pytest.raises(OSError, match="no controllers for memory and pids"):
        claim(tree=place, process=process)


def test_process_outside_every_visible_group_gets_none(tmp_path: Path):
    place, process = tree(tmp_path)
    (process / "cgroup").write_text("0::/../elsewhere\n")
    with pytest.raises(OSError, match="in no cgroup"):
        claim(tree=place, process=process)
