"""Content search and name search: the right lines, in pages, in bounded time."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from servers.files.crew import Crews
from servers.files.needle import required_text
from servers.files.paging import Cursor, parse_cursor
from servers.files.rooted import Place
from servers.files.searching import FindRequest, Hits, Wanted, find, search
from servers.tool import RefusalError
from tests.servers.files.opening import roots_for, settings_for

TREE = {
    "a.py": "import os\n\ndef main():\n    return os\n",
    "b/c.md": "# Title\r\nos is here\r\n",
    "b/d/e.py": "OS = 1\nos = 2\n" * 30,
    "b/binary.bin": "os\0os",
    "build/out.py": "import os\n",
    "utf16.txt": "",
    "z.txt": "last os",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("tree")
    for name, text in TREE.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    (top / "utf16.txt").write_bytes("über os\n".encode("utf-16"))
    (top / ".gitignore").write_text("build/\n")
    return top


@pytest.fixture(scope="module")
def crews(root: Path) -> Iterator[Crews]:
    opened = roots_for(root)
    crews = Crews((opened.roots[0].descriptor,), processes=2, way="auto")
    yield crews
    crews.close()


def crews_place(crews: Crews, root: Path, path: str = "") -> Place:
    """A place below the root whose descriptor the crews hold."""
    opened = roots_for(root).place(path)
    return Place(replace(opened.root, descriptor=crews._descriptors[0]), opened.parts)


def run(crews: Crews, root: Path, wanted: Wanted, path: str = "", **changes: float) -> Hits:
    return search(
        crews_place(crews, root, path), wanted, None, crews, settings_for(root, **changes)
    )


def lines(hits: Hits) -> list[tuple[str, int]]:
    return [("/".join(hit["parts"]), hit["line"]) for hit in hits.hits]


def expected(pattern: str, flags: int = 0, skip: tuple[str, ...] = ("build/out.py",)):
    found: set[tuple[str, int]] = set()
    for name, text in {**TREE, "utf16.txt": "über os\n"}.items():
        if "\0" in text or name in skip:
            continue
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
            if re.search(pattern, line, flags):
                found.add((name, number))
    return found


@pytest.mark.parametrize(
    ("wanted", "pattern", "flags"),
    [
        (Wanted("os"), "os", 0),
        (Wanted("OS", ignore_case=True), "os", re.IGNORECASE),
        (Wanted(r"^os\b", regex=True), r"^os\b", 0),
        (Wanted(r"here$", regex=True), r"here$", 0),
        (Wanted(r"\s{4}return (?=os)", regex=True), r"\s{4}return (?=os)", 0),
        (Wanted("o", whole_word=True), r"\bo\b", 0),
        (Wanted("über"), "über", 0),
        (Wanted(r"[^x]s = \d$", regex=True), r"[^x]s = \d$", 0),
    ],
)
def test_search_finds_the_lines_that_match(
    root: Path, crews: Crews, wanted: Wanted, pattern: str, flags: int
):
    hits = run(crews, root, wanted)
    assert set(lines(hits)) == expected(pattern, flags)
    assert len(hits.hits) == len(set(lines(hits)))
    assert hits.tally["binary"] == 1
    assert hits.cursor is None


def test_ignored_files_are_searched_when_asked(root: Path, crews: Crews):
    hits = run(crews, root, Wanted("import os", include_ignored=True))
    assert lines(hits) == [("a.py", 1), ("build/out.py", 1)]


def test_globs_choose_the_files(root: Path, crews: Crews):
    only = run(crews, root, Wanted("os", globs=("*.{md,txt}",), exclude=("z*",)))
    assert lines(only) == [("utf16.txt", 1), ("b/c.md", 2)]
    deep = run(crews, root, Wanted("os =", globs=("b/**/*.py",), limit=1000))
    assert {name for name, _ in lines(deep)} == {"b/d/e.py"}


def test_a_single_file_can_be_searched(root: Path, crews: Crews):
    assert lines(run(crews, root, Wanted("os"), "b/c.md")) == [("b/c.md", 2)]


def test_context_lines_stand_around_a_match(root: Path, crews: Crews):
    hit = run(crews, root, Wanted("def main", context=2)).hits[0]
    assert (hit["before"], hit["after"]) == (["import os", ""], ["    return os"])


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
def test_pages_join_to_the_whole_answer(root: Path, crews: Crews, limit: int):
    settings = settings_for(root)
    whole = lines(run(crews, root, Wanted("os", limit=10_000)))
    cursor: Cursor | None = None
    found: list[tuple[str, int]] = []
    while True:
        page = search(crews_place(crews, root), Wanted("os", limit=limit), cursor, crews, settings)
        assert len(page.hits) <= limit
        found += lines(page)
        if page.cursor is None:
            break
        cursor = parse_cursor(page.cursor.render())
    assert found == whole


def test_a_pattern_that_never_ends_is_cut_off(tmp_path: Path):
    (tmp_path / "bait").write_text("a" * 60 + "!\n")
    opened = roots_for(tmp_path)
    crews = Crews((opened.roots[0].descriptor,), processes=1, way="auto")
    settings = settings_for(tmp_path, search_seconds=0.5)
    try:
        # This pattern doubles its work with every letter: 2^60 steps.
        hits = search(opened.place(""), Wanted("(a+)+$", regex=True), None, crews, settings)
        assert hits.timed_out
        after = search(opened.place(""), Wanted("aaa"), None, crews, settings_for(tmp_path))
        assert lines(after) == [("bait", 1)]
    finally:
        crews.close()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(""), "empty"),
        (Wanted("("), ""),
        (Wanted("(", regex=True), "not a regular expression"),
        (Wanted("a\nb"), "line end"),
    ],
)
def test_patterns_that_are_none_are_refused(root: Path, crews: Crews, wanted: Wanted, said: str):
    if not said:
        assert lines(run(crews, root, wanted)) == [("a.py", 3)]
        return
    with pytest.raises(RefusalError, match=said):
        run(crews, root, wanted)


ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        ".",
        r"\d",
        r"\.",
        "[ab]",
        "[^]a]",
        "a*",
        "b+",
        "a?",
        "ab{0,2}",
        "(a|b)",
        "(ab)*",
        "^",
        "$",
        r"\b",
        "|",
        r"\x61",
        "(?:a)",
        r"[\]]",
        "}",
        "]",
    ]
)


@example(pattern="a\\x61|", text="")
@given(st.lists(ATOMS, min_size=1, max_size=5).map("".join), st.text("ab.1]}", max_size=8))
def test_every_match_holds_the_required_text(pattern: str, text: str):
    try:
        match = re.search(pattern, text)
    except re.error:
        return
    if match is not None:
        assert required_text(pattern) in text


@pytest.mark.parametrize(
    ("pattern", "text"),
    [(r"def \w+\(self", "(self"), (r"foo|bar", ""), (r"class Name\b", "class Name"), ("ab*c", "a")],
)
def test_the_longest_plain_run_is_required(pattern: str, text: str):
    assert required_text(pattern) == text


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("*.py", ["a.py", "b/d/e.py"]),
        ("/*.py", ["a.py"]),
        ("b/**", ["b/binary.bin", "b/c.md", "b/d", "b/d/e.py"]),
        ("**/d", ["b/d"]),
        ("*.{md,txt}", ["utf16.txt", "z.txt", "b/c.md"]),
        ("[bz]", ["b"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 100])
def test_find_gives_names_page_by_page(root: Path, glob: str, names: list[str], limit: int):
    place, settings = roots_for(root).place(""), settings_for(root)
    request = FindRequest((glob,), limit=limit)
    found: list[str] = []
    cursor: Cursor | None = None
    while True:
        page, cursor = find(place, request, cursor, settings)
        found += ["/".join(item.parts) for item in page]
        if cursor is None:
            break
    assert found == names
