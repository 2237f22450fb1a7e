"""Names and annotations of sources become those of tools, legal and readable."""

from pathlib import Path
from typing import cast

import pytest

from generator.answers import Answers, spec_of
from generator.naming import group_name, identifier, in_natural_order
from generator.project import render_server
from generator.sources.functions import read_functions


def test_sample_is_of_the_elements_type(tmp_path: Path):
    file = tmp_path / "shapes.py"
    file.write_text("def f(a: list[str], b: set[bool], c: list[dict], d: tuple[int, str]): ...\n")
    (group,) = read_functions(str(file), "zoo").groups
    found = cast("dict[str, object]", group.tools[0].sample)
    assert found == {"a": ["text"], "b": [True], "c": [{}], "d": [1, "text"]}


def signature(line: str, folder: Path) -> str:
    """Return how the tool of a function takes its arguments."""
    (folder / "shapes.py").write_text(line)
    files = render_server(spec_of(Answers(kind="python", where="x", name="zoo"), read_functions(
        str(folder / "shapes.py"), "zoo")))  # fmt: skip
    text = files["src/zoo/tools/shapes.py"]
    return text[text.index("async def") : text.index('    """', text.index("async def"))]


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("a: tuple[int, str]", "a: tuple[int, str]"),
        ("a: tuple[float, ...] = None", "a: tuple[float, ...] | None = None"),
        ("a: set[str]", "a: set[str]"),
        ("a: set[list[str]]", "a: list[list[str]]"),
        ("a: tuple[Unknown, int]", "a: tuple[Any, int]"),
        ("a: Union[int, None]", "a: int | None"),
        ("a: None | None", "a: None"),
        ("a: Optional[None] = None", "a: None = None"),
        ("a: int = 0.5", "a: Any = 0.5"),
        ("a: int = 'x'", 'a: Any = "x"'),
        ("a: float = 1", "a: float = 1"),
        (f"a: list[str] | str = '{'x' * 90}'", f'a: Any = "{"x" * 90}"'),
        (f"a: list[Literal['{'x' * 60}']]", "a: list[Any]"),
    ],
)
def test_annotation_is_the_one_of_the_function_where_it_can_be_written(
    given: str, made: str, tmp_path: Path
):
    assert f"    {made},\n" in signature(f"def f({given}): ...\n", tmp_path)


def test_argument_whose_default_contradicts_its_type_has_no_misfit(tmp_path: Path):
    file = tmp_path / "shapes.py"
    file.write_text("def f(a: int = 0.5, b: bool = 'x', c: str = 1): ...\ndef g(a: int = 1): ...\n")
    (group,) = read_functions(str(file), "zoo").groups
    assert [tool.wrong for tool in group.tools] == [None, ("a", {"a": "no number"})]


def test_names_of_groups_are_different_from_all_else():
    assert group_name("Filter") == "filter_tools"
    assert group_name("server", {"server_tools"}) == "server_tools_2"
    assert group_name("pets") == "pets"
    assert identifier("find", reserved={"find"}) == "find_"
    assert in_natural_order(["v10", "v2", "pets_2", "pets"]) == ["pets", "pets_2", "v2", "v10"]
