"""What opens below a root and what does not, by both ways of opening."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.files.beneath import Opener, kernel_can, open_by_kernel, open_by_walk
from tests.servers.files.opening import swapping

OPENERS = [
    pytest.param(
        open_by_kernel,
        id="kernel",
        marks=pytest.mark.skipif(not kernel_can(), reason="this kernel has no openat2"),
    ),
    pytest.param(open_by_walk, id="walk"),
]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    top = tmp_path / "root"
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "file").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def read(opener: Opener, root: int, *parts: str) -> str:
    descriptor = opener(root, parts, os.O_RDONLY)
    with os.fdopen(descriptor) as file:
        return file.read()


def failure(opener: Opener, root: int, *parts: str) -> int:
    """The error number with which opening fails; 0 when it does not."""
    try:
        os.close(opener(root, parts, os.O_RDONLY))
    except OSError as error:
        return error.errno or -1
    return 0


@pytest.mark.parametrize("opener", OPENERS)
def test_a_file_below_the_root_opens(opener: Opener, root: int):
    assert read(opener, root, "a", "b", "file") == "inside"


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(
    "target", ["b/file", "../a/b/file", "b/../b/file", "./b//file", "b/../../a/b/file"]
)
def test_a_link_that_stays_below_the_root_is_followed(
    opener: Opener, root: int, tmp_path: Path, target: str
):
    (tmp_path / "root" / "a" / "link").symlink_to(target)
    assert read(opener, root, "a", "link") == "inside"


@pytest.mark.parametrize("opener", OPENERS)
def test_links_to_links_and_to_folders_are_followed(opener: Opener, root: int, tmp_path: Path):
    top = tmp_path / "root"
    (top / "one").symlink_to("a")
    (top / "two").symlink_to("one/b")
    (top / "up").symlink_to("a/b/..")
    assert read(opener, root, "two", "file") == "inside"
    assert read(opener, root, "up", "b", "file") == "inside"


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("target", ["../secret", "../../secret", "a/../../secret", "/etc/passwd"])
def test_a_link_out_of_the_root_is_refused(opener: Opener, root: int, tmp_path: Path, target: str):
    (tmp_path / "root" / "link").symlink_to(target)
    assert failure(opener, root, "link") == errno.EXDEV


@pytest.mark.parametrize("opener", OPENERS)
def test_climbing_names_are_refused(opener: Opener, root: int):
    assert failure(opener, root, "..", "secret") == errno.EXDEV


@pytest.mark.parametrize("opener", OPENERS)
def test_a_circle_of_links_ends(opener: Opener, root: int, tmp_path: Path):
    (tmp_path / "root" / "x").symlink_to("y")
    (tmp_path / "root" / "y").symlink_to("x")
    assert failure(opener, root, "x") == errno.ELOOP


def test_magic_links_of_proc_are_refused(root: int, tmp_path: Path):
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for opener in (open_by_kernel, open_by_walk):
            assert failure(opener, proc, "self", "root", "etc", "passwd")
            assert failure(opener, proc, "self", "fd", str(root), "a", "b", "file")
    finally:
        os.close(proc)


@pytest.mark.parametrize("opener", OPENERS)
def test_no_descriptor_is_left_open(opener: Opener, root: int, tmp_path: Path):
    (tmp_path / "root" / "bad").symlink_to("../secret")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for parts in (("a", "b", "file"), ("a", "none"), ("bad",), ("a", "b", "file", "x")):
        try:
            os.close(opener(root, parts, os.O_RDONLY))
        except OSError:
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("opener", OPENERS)
def test_a_folder_swapped_for_a_link_while_opening_never_leads_out(
    opener: Opener, root: int, tmp_path: Path
):
    top = tmp_path / "root"
    (top / "swap").mkdir()
    (top / "swap" / "file").write_text("inside")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("outside")
    (tmp_path / "link").symlink_to(outside)
    seen: set[str] = set()
    with swapping(top / "swap", tmp_path / "link"):
        for attempt in range(400_000):
            try:
                seen.add(read(opener, root, "swap", "file"))
            except OSError as error:
                seen.add(errno.errorcode[error.errno or 0])
            if attempt >= 4000 and {"inside", "EXDEV"} <= seen:
                break  # on a busy machine the swapping thread may get its first turn late
    assert "outside" not in seen
    assert {"inside", "EXDEV"} <= seen <= {"inside", "EXDEV", "ENOTDIR"}
