"""What every family of attempts asserts."""

from host.sandbox.process.layer import REQUIRED
from tests.escape.process.arena import Arena, Attempt, outside

__all__ = ["REQUIRED", "check_control", "check_held"]

MISTAKES = ("NameError:", "SyntaxError:", "AttributeError:", "ArgumentError:", "TypeError:")
"""An attempt that fails by one of these says nothing about the sandbox."""


def check_held(arena: Arena, attempt: Attempt) -> None:
    """The attempt failed, and a new worker still starts and answers afterwards."""
    found = arena.outcome(attempt)
    assert found["outcome"] not in {"refused", "rejected"}, found
    assert not any(kind in found.get("message", "") for kind in MISTAKES), found
    assert not found.get("value"), found
    assert arena.outcome(Attempt("return 'well'")) == {
        "outcome": "returned",
        "value": "well",
        "output": 0,
    }


def check_control(attempt: Attempt) -> None:
    """The same program succeeds where nothing confines it, so the test can fail."""
    assert outside(attempt)
