import ctypes
import mmap
import os
import platform
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from host.domain.errors import ConfinementError
from host.sandbox.config import SandboxConfig
from host.sandbox.pool import SandboxPool, confinement_report
from host.sandbox.process import kernel, seccomp
from host.sandbox.process.layer import REQUIRED, STOPS
from host.sandbox.report import ConfinementReport, missing_layers
from tests.sandbox.process.recording import LOADER, RecordingBroker, open_pool

ROOT = Path(__file__).parents[3]
IDLE = "@tool\ndef idle():\n    return 1\n"
x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="x86-64 machine code")


def status_of(pid: int | None) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.anyio
async def test_kernel_confirms_the_layers_from_outside(broker: RecordingBroker):
    async with open_pool() as pool:
        report = await pool.warm()
        worker = await pool.start(IDLE, plugin="demo", tenant="ann", broker=broker)
        status = status_of(worker.pid)
    assert report.missing == ()
    assert {"seccomp", "no_new_privs", "rlimits", "capabilities", "undumpable"} <= {
        layer.name for layer in report.layers if layer.active
    }
    assert status["Seccomp"] == "2"
    assert status["NoNewPrivs"] == "1"
    assert status["Threads"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0


@pytest.mark.anyio
async def test_worker_of_a_root_host_has_a_uid_of_its_own(broker: RecordingBroker):
    if os.geteuid() != 0:
        pytest.skip("only for a host that runs as root")
    async with open_pool() as pool:
        first = await pool.start(IDLE, plugin="a", tenant="ann", broker=broker)
        second = await pool.start(IDLE, plugin="b", tenant="ann", broker=broker)
        uids = {status_of(worker.pid)["Uid"].split()[0] for worker in (first, second)}
    assert "0" not in uids
    assert len(uids) == 2


@pytest.mark.parametrize("layer", REQUIRED)
@pytest.mark.anyio
async def test_plugins_refuse_to_start_without_a_required_layer(layer: str):
    layers = [name for name in STOPS if name != layer]
    pool = SandboxPool(SandboxConfig(), loader=LOADER, layers=layers)
    async with pool:
        with pytest.raises(ConfinementError, match=f"Missing: .*{layer} .*confinement: reduced"):
            await pool.warm()


@pytest.mark.anyio
async def test_full_confinement_refuses_what_standard_accepts():
    layers = [name for name in STOPS if name != "landlock"]
    async with SandboxPool(SandboxConfig(), loader=LOADER, layers=layers) as pool:
        assert (await pool.warm()).missing == ()
    strict = SandboxConfig(confinement="full")
    async with SandboxPool(strict, loader=LOADER, layers=layers) as pool:
        with pytest.raises(ConfinementError, match=r"landlock .*confinement: standard"):
            await pool.warm()


@pytest.mark.anyio
async def test_reduced_confinement_runs_with_nothing_and_reports_so(broker: RecordingBroker):
    reduced = SandboxConfig(confinement="reduced")
    async with SandboxPool(reduced, loader=LOADER, layers=["none"]) as pool:
        report = await pool.warm()
        worker = await pool.start(IDLE, plugin="demo", tenant="ann", broker=broker)
        assert (await worker.call("idle", {}, timeout=5)).value == 1
    assert [layer.name for layer in report.layers if layer.active] == ["closed_descriptors"]


def test_report_names_what_each_missing_layer_would_have_stopped():
    report = ConfinementReport.of({"seccomp": "not permitted"}, "standard")
    found = next(layer for layer in report.layers if layer.name == "seccomp")
    assert (found.active, found.detail) == (False, "not permitted")
    assert "sockets" in found.stops
    assert report.missing == REQUIRED


def test_dropped_uid_stands_in_for_a_user_namespace():
    layers = dict.fromkeys(STOPS, "") | {"user_namespace": "not permitted"}
    assert missing_layers(layers, "full") == ()


HOST = """
import anyio, os, sys
from tests.sandbox.process.recording import RecordingBroker, open_pool
async def main():
    async with open_pool(pool_size=1) as pool:
        source = "@tool\\ndef spin():\\n    while True: pass\\n"
        worker = await pool.start(source, plugin="demo", tenant="ann", broker=RecordingBroker())
        await pool.warm()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: worker.call("spin", {}, timeout=60))
            print(worker.pid, pool.zygote_pid, flush=True)
            await anyio.sleep_forever()
anyio.run(main)
"""


def test_no_worker_or_zygote_outlives_a_host_killed_without_warning():
    environment = {"PYTHONPATH": str(ROOT)}
    host = subprocess.Popen(
        [sys.executable, "-c", HOST], cwd=ROOT, stdout=subprocess.PIPE, env=environment
    )
    assert host.stdout is not None
    worker, zygote = (int(word) for word in host.stdout.readline().split())
    descriptors = [os.pidfd_open(worker), os.pidfd_open(zygote)]
    host.kill()
    host.wait()
    host.stdout.close()
    for descriptor in descriptors:
        ended, _, _ = select.select([descriptor], [], [], 10)  # readable once the process ended
        assert ended
        os.close(descriptor)


@pytest.mark.anyio
async def test_worker_does_not_outlive_the_zygote(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await pool.start(IDLE, plugin="demo", tenant="ann", broker=broker)
        descriptor = os.pidfd_open(worker.pid or 0)
        os.kill(pool.zygote_pid, signal.SIGKILL)
        with anyio.move_on_after(30) as waiting:
            await anyio.wait_readable(descriptor)  # once the process ended
        os.close(descriptor)
        assert not waiting.cancelled_caught


def ended_by(child: Callable[[], object]) -> int:
    """Runs `child` in a fork under nothing but the filter; returns how it ended."""
    pid = os.fork()
    if pid == 0:
        try:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            child()
        finally:
            os._exit(77)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@x86_64
def test_system_call_through_the_32_bit_gate_ends_the_process():
    # mov eax, 20 (getpid, harmless); int 0x80; ret: another table of numbers for the same kernel.
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    install = seccomp.prepare("x86_64")

    def child() -> None:
        install()
        function()

    assert ended_by(function) == 77
    assert ended_by(child) == -signal.SIGSYS


@x86_64
def test_system_call_with_the_x32_bit_ends_the_process():
    install = seccomp.prepare("x86_64")

    def child() -> None:
        install()
        kernel.libc.syscall(ctypes.c_long(0x40000000 | 39))

    assert ended_by(child) == -signal.SIGSYS


def test_filter_is_refused_for_a_machine_whose_numbers_are_unknown():
    with pytest.raises(OSError, match="riscv64"):
        seccomp.program("riscv64")


def test_every_jump_of_the_filter_stays_inside_it():
    for machine in ("x86_64", "aarch64"):
        code = seccomp.program(machine)
        count = len(code) // 8
        for place in range(count):
            operation, yes, no = code[8 * place], code[8 * place + 2], code[8 * place + 3]
            if operation in {0x15, 0x35, 0x45}:
                assert place + 1 + max(yes, no) < count
        assert code[-8] == 0x06


@pytest.mark.anyio
async def test_doctor_reports_the_layers_of_this_machine():
    report = await confinement_report(SandboxConfig(), loader=LOADER)
    assert report.missing == ()
    assert report.verified
