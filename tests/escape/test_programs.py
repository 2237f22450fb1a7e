"""The ordinary programs again, in confined workers: there they can import nothing more."""

import platform
import sys
from collections.abc import Iterator

import pytest

from tests.escape.process.arena import Arena
from tests.sandbox.programs.test_programs import PROGRAMS, in_plain_python, in_worker

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="the confined process is Linux's",
)


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    arena = Arena(loader="host.sandbox.compiler:compile_plugin")
    yield arena
    arena.close()


@pytest.mark.parametrize(
    ("name", "source"),
    [(item[0], item[2]) for item in PROGRAMS],
    ids=[item[0] for item in PROGRAMS],
)
def test_program_prints_in_a_confined_worker_what_it_prints_in_plain_python(
    arena: Arena, name: str, source: str
):
    assert in_worker(arena, source) == in_plain_python(source)
