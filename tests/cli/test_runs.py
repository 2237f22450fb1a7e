"""`host runs` refuses in a sentence what no run, user or agent could be called."""

import sys

import pytest

from tests.fakes.home import Home

ODD = "a\udcff"
"""What a byte that is no text becomes."""


@pytest.mark.skipif(sys.platform == "win32", reason="words of a command are text there")
@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("show", ODD), "run"),
        (("follow", ODD), "run"),
        (("export", ODD), "run"),
        (("replay", ODD), "run"),
        (("list", "--agent", ODD), "agent"),
        (("list", "--user", ODD), "user"),
    ],
)
def test_odd_name_is_refused_in_a_sentence(home: Home, words: tuple[str, ...], name: str) -> None:
    done = home.host("runs", *words)
    said = f"host: The command cannot be called so: {name}: it has a NUL, or half of a surrogate"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{said} pair.\n"
