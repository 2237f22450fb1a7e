from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from host.config.expand import expand, parse_env
from host.config.yaml import Document, parse_yaml

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="${}", exclude_categories=["Cs"]), max_size=8)
PARTS = st.one_of(
    TEXTS.map(lambda text: (text, "text")),
    NAMES.map(lambda name: (name, "name")),
    st.tuples(NAMES, TEXTS).map(lambda pair: (":-".join(pair), "default")),
    st.just(("", "escape")),
)


def written(parts: list[tuple[str, str]]) -> str:
    form = {"text": "{}", "name": "${{{}}}", "default": "${{{}}}", "escape": "$${{"}
    return "".join(form[kind].format(text) for text, kind in parts)


def meant(parts: list[tuple[str, str]], variables: dict[str, str]) -> str:
    out = ""
    for text, kind in parts:
        name, _, default = text.partition(":-")
        if kind == "text":
            out += text
        elif kind == "escape":
            out += "${"
        else:
            out += variables.get(name) or default
    return out


@settings(deadline=None)
@given(st.lists(PARTS, max_size=6), st.dictionaries(NAMES, TEXTS, max_size=6))
def test_every_mixture_of_text_and_references_means_what_it_says(
    parts: list[tuple[str, str]], variables: dict[str, str]
):
    outcome = expand(Document({"a": [written(parts)]}), variables)
    unset = {text for text, kind in parts if kind == "name" and text not in variables}
    assert len({str(error) for error in outcome.errors}) == len(unset)
    assert outcome.value == {"a": [meant(parts, variables)]}


@given(st.text(max_size=30))
def test_any_text_expands_or_is_a_fault(text: str):
    outcome = expand(Document({"a": text}), {})
    assert outcome.errors or isinstance(cast("dict[str, object]", outcome.value)["a"], str)


@given(st.integers(1, 30))
def test_a_fault_is_on_the_line_of_its_value(line: int):
    text = "".join(f"k{n}: x\n" for n in range(1, line)) + "bad: ${NOT_SET}\n"
    errors = expand(parse_yaml(text), {}).errors
    assert [(error.line, error.field) for error in errors] == [(line, "bad")]


def test_values_that_look_like_references_are_not_expanded_again():
    outcome = expand(Document({"a": "${A}"}), {"A": "${B}", "B": "x"})
    assert outcome.value == {"a": "${B}"}


def test_only_variables_whose_name_says_secret_are_secrets():
    outcome = expand(Document(["${GH_TOKEN}", "${USER_NAME}"]), {"GH_TOKEN": "t", "USER_NAME": "u"})
    assert outcome.secrets == {"t"}


def test_an_env_file_is_read_without_interpolation():
    text = "A=1 # one\nexport B='x y'\nC=\"${A}\"\nD\n# E=1\n"
    assert parse_env(text) == {"A": "1", "B": "x y", "C": "${A}", "D": ""}
