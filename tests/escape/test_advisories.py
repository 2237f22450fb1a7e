"""The shapes of RestrictedPython's advisories: they succeed in the releases concerned, not here."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.escape.attempt import Attempt, run_against_compiler
from tests.escape.process.arena import Arena

DRIVER = Path(__file__).with_name("advisories_driver.py")
CACHE = Path(__file__).parents[2] / ".cache" / "escape"

ADVISORIES = {
    "CVE-2023-37271",
    "CVE-2023-41039",
    "CVE-2024-47532",
    "CVE-2025-22153",
    "CVE-2026-55830",
    "CVE-2026-76825",
}
"""All that its changelog names from 2023 to release 9.0."""

SHAPES: dict[str, tuple[str, str]] = {
    "CVE-2023-37271 generator frames": (
        "6.0",
        "g = (x for x in [1])\nsteal(g.gi_frame.f_builtins)",
    ),
    "CVE-2023-41039 str.format on the type": (
        "6.1",
        "def f(): pass\nsteal(str.format('{0.__globals__}', f))",
    ),
    "CVE-2023-41039 str.format_map": (
        "6.1",
        "def f(): pass\nsteal(str.format_map('{f.__globals__}', {'f': f}))",
    ),
    "CVE-2023-41039 string.Formatter": (
        "6.1",
        "def f(): pass\nsteal(string.Formatter().get_field('f.__globals__', (), {'f': f})[0])",
    ),
    "CVE-2024-47532 AttributeError.obj of the string module": (
        "7.2",
        "def f(): pass\n"
        "try:\n"
        "    string.capwords(string)\n"  # asks the hidden module behind the name for `split`
        "except AttributeError as error:\n"
        "    steal(error.obj.Formatter().get_field('f.__globals__', (), {'f': f})[0])",
    ),
    "CVE-2025-22153 except*": (
        "7.4",
        "try:\n    raise ValueError\nexcept* ValueError:\n    steal('unguarded')",
    ),
    "CVE-2026-55830 a positional-only parameter named like a guard": (
        "8.1",
        "def f(value, _getattr_, /):\n    return value.anything\n"
        "steal(f(1, lambda value, name: 'unguarded'))",
    ),
    "CVE-2026-76825 string.Formatter of the module itself": (
        "8.3",
        "def f(): pass\n"
        "steal(string_module.Formatter().get_field('f.__globals__', (), {'f': f})[0])",
    ),
}
"""Advisory → the last release with the fault, and the shape of it."""


def here(advisory: str) -> str:
    """Return the source for this sandbox, where modules are imported and not given."""
    source = SHAPES[advisory][1].replace("string_module", "string")
    return f"import string\n{source}" if "string." in source else source


def test_every_advisory_since_2023_has_a_shape():
    assert {advisory.partition(" ")[0] for advisory in SHAPES} == ADVISORIES


@cache
def released(version: str) -> Path:
    """Install a release into a folder of the suite's own."""
    folder = CACHE / f"RestrictedPython-{version}"
    if not folder.exists():
        outcome = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
                *("--disable-pip-version-check", "--target", str(folder)),
                f"RestrictedPython=={version}",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
        if outcome.returncode != 0:
            pytest.skip(f"RestrictedPython {version} cannot be installed: {outcome.stderr[-300:]}")
    return folder


def under(version: str, source: str) -> str:
    outcome = subprocess.run(
        [sys.executable, str(DRIVER)],
        input=source,
        env={"PYTHONPATH": str(released(version))},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return outcome.stdout.strip()


@pytest.mark.parametrize("advisory", SHAPES)
def test_shape_succeeds_in_the_release_with_the_fault(advisory: str):
    version, source = SHAPES[advisory]
    assert under(version, source) == "stole"


@pytest.mark.parametrize("advisory", SHAPES)
def test_shape_does_not_pass_the_compiler_here(advisory: str):
    attempt = Attempt("advisories", advisory, here(advisory), has_control=False)
    found = run_against_compiler(attempt)
    assert found.reached == []


@pytest.mark.parametrize("advisory", SHAPES)
def test_shape_gets_nothing_behind_both_walls(advisory: str):
    arena = Arena(loader="tests.fakes.walking_loader:compile_plugin")
    found = arena.run(here(advisory), "verdict")
    arena.close()
    assert found["outcome"] == "returned"
    assert found["value"]["reached"] == []
