"""The same programs get out of a worker without layers: it is the layers that hold them."""

import pytest

from tests.escape.process import test_files, test_kernel, test_network, test_processes
from tests.escape.process.arena import Arena

CONTROLS = {
    "open a file": test_files.ATTEMPTS["builtin open"],
    "list a folder": test_files.ATTEMPTS["list the root folder"],
    "memory file": test_files.ATTEMPTS["memory file"],
    "socket": test_network.ATTEMPTS["python socket"],
    "bind a port": test_network.ATTEMPTS["bind a port"],
    "fork": test_processes.ATTEMPTS["fork"],
    "spawn": test_processes.ATTEMPTS["posix_spawn"],
    "thread": test_processes.ATTEMPTS["thread"],
    "executable memory": test_kernel.ATTEMPTS["executable memory"],
    "shared memory": test_kernel.ATTEMPTS["shared memory"],
}


@pytest.fixture(scope="module")
def bare_arena():
    arena = Arena("none")
    yield arena
    arena.close()


@pytest.mark.parametrize("name", CONTROLS)
def test_attempt_gets_out_of_a_worker_without_layers(bare_arena: Arena, name: str):
    found = bare_arena.outcome(CONTROLS[name])
    assert found["outcome"] == "returned"
    assert found["value"]
