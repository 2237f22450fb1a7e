import struct
from collections.abc import Mapping, Sequence

import pytest

from host.sandbox.process import seccomp
from host.sandbox.process.seccomp import (
    _ALLOWED,
    _AUDIT_ARCH,
    _HOSTILE,
)

ALLOW, DENY, KILL = 0x7FFF0000, 0x00050001, 0x80000000
GOOD: Mapping[str, Sequence[int]] = {
    "read": [3],
    "write": [3],
    "mmap": [0, 4096, 3, 0x22],
    "madvise": [0, 4096, 4],
    "prlimit64": [0, 9],
}
"""Arguments that are let through, where zeros are not."""


def outcome(code: bytes, number: int, architecture: int, arguments: Sequence[int] = ()) -> int:
    """Runs the filter as the kernel does."""
    steps = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    call = struct.pack("=IIQ6Q", number, architecture, 0, *[*arguments, *([0] * 6)][:6])
    at = held = 0
    while True:
        kind, yes, no, value = steps[at]
        at += 1
        match kind:
            case 0x20:
                (held,) = struct.unpack_from("=I", call, value)
            case 0x05:
                at += value
            case 0x15:
                at += yes if held == value else no
            case 0x35:
                at += yes if held >= value else no
            case 0x45:
                at += yes if held & value else no
            case _:
                return value


@pytest.mark.parametrize(("column", "machine"), [(0, "x86_64"), (1, "aarch64")])
def test_each_call_is_let_through_refused_or_deadly_as_the_tables_say(column: int, machine: str):
    code, architecture = seccomp.program(machine), _AUDIT_ARCH[machine]
    allowed = {numbers[column]: name for name, numbers in _ALLOWED.items()}
    hostile = {numbers[column] for numbers in _HOSTILE.values()}
    for number in range(600):
        arguments = GOOD.get(allowed.get(number, ""), [])
        expected = ALLOW if number in allowed else KILL if number in hostile else DENY
        assert (number, outcome(code, number, architecture, arguments)) == (number, expected)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_calls_of_another_abi_are_deadly(machine: str):
    code, architecture = seccomp.program(machine), _AUDIT_ARCH[machine]
    for number in (0, 1, 39, 63, 172):
        assert outcome(code, number, 0x40000003, [3]) == KILL
        assert outcome(code, number | 0x40000000, architecture, [3]) == KILL


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("read", [0]),
        ("write", [1]),
        ("mmap", [0, 4096, 7, 0x22]),
        ("mmap", [0, 4096, 3, 0x21]),
        ("mmap", [0, 4096, 3, 0x02]),
        ("mprotect", [0, 4096, 5]),
        ("prlimit64", [1, 9]),
        ("prlimit64", [0, 7]),
        ("clock_gettime", [0xFFFFFFFE]),
    ],
)
def test_dangerous_arguments_of_an_allowed_call_are_refused(name: str, arguments: list[int]):
    code = seccomp.program("x86_64")
    number = _ALLOWED[name][0]
    assert number is not None
    assert outcome(code, number, _AUDIT_ARCH["x86_64"], arguments) == DENY
