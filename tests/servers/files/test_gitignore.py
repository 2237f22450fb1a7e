"""`.gitignore` rules, held against git itself."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from servers.files.gitignore import translate_glob
from servers.files.walking import walk
from tests.servers.files.opening import roots_for

PIECES = st.sampled_from(
    ["*", "**", "/", "?", "a", "b", "ab", "[ab]", "[!a]", "!", "\\*", "**/", "/**", " ", "*.b", "#"]
)
TREE = ["a", "b", "ab", "a.b", "c/a", "c/b", "c/d/a", "c/d/a.b", "d/ab", "*", "a b", "d/c/d/b"]


def odd(glob: str) -> bool:
    """Doubled slashes, and stars glued to other characters: git is not its documentation there."""
    return re.search(r"[^/*!]\*\*|\*\*[^/*]|//", glob) is not None


def files_by_git(root: Path) -> set[str]:
    command = ["git", "ls-files", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True)
    return {name for name in done.stdout.split("\0") if name}


def files_by_us(root: Path) -> set[str]:
    found = walk(roots_for(root).place(""), gitignore=True)
    return {"/".join((*listing.parts, n)) for listing in found for n in listing.files}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / ".git" / "info" / "exclude").unlink(missing_ok=True)
    for name in TREE:
        path = root / name
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            path.write_text("")
    return root


@settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    top=st.lists(st.lists(PIECES, min_size=1, max_size=4).map("".join), max_size=4),
    deep=st.lists(st.lists(PIECES, min_size=1, max_size=3).map("".join), max_size=3),
)
def test_the_same_files_are_left_out_as_by_git(repository: Path, top: list[str], deep: list[str]):
    assume(not any(odd(glob) for glob in top + deep))
    (repository / ".gitignore").write_text("\n".join(top))
    (repository / "c" / ".gitignore").write_text("\n".join(deep))
    assert files_by_us(repository) == files_by_git(repository), (top, deep)


@pytest.mark.parametrize(
    "glob", ["*a" * 60 + "b", "**/a" * 40 + "/b", "*?" * 60 + "b", "[ab]*" * 60 + "c"]
)
def test_a_glob_of_many_stars_is_decided_at_once(glob: str):
    pattern = re.compile(translate_glob(glob))
    # Tried in every way this would outlast the test's time limit by ages.
    assert pattern.fullmatch("a" * 250) is None
    assert pattern.fullmatch("/".join(["a"] * 500)) is None
