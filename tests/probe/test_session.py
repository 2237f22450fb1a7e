import json
import os
import sys
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import anyio
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.answers import Answers
from host.domain.errors import ConfigError
from host.probe.finding import Report
from host.probe.inputs import bad_inputs, good_inputs
from host.probe.report import render_json, render_junit, render_text
from host.probe.session import ProbeOptions, probe
from host.probe.target import Target, find_target
from tests.generator.projects import make

Schema = dict[str, Any]
CLEAN: set[tuple[str, str]] = set()
BAD = Path(__file__).with_name("bad_server.py")


def run(*faults: str, timeout: float = 60, **options: object) -> Report:
    target = Target(
        "bad", command=(sys.executable, str(BAD), *faults), environ=tuple(os.environ.items())
    )
    return anyio.run(probe, target, ProbeOptions(timeout=timeout, **options))  # type: ignore[arg-type]


def grave(report: Report) -> set[tuple[str, str]]:
    return {(one.level, one.check) for one in report.findings if one.level != "note"}


def test_generated_server_passes_in_both_eras(tmp_path: Path):
    project = make(Answers(kind="blank", features=("elicitation",)), tmp_path, "notes")
    report = anyio.run(probe, find_target([str(project.folder)]), ProbeOptions(timeout=60))
    assert report.eras == {"handshake": "2025-11-25", "stateless": "2026-07-28"}
    assert [one for one in report.findings if one.level != "note"] == []
    assert report.calls > 0
    assert report.tokens > 100


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("none", CLEAN),
        ("schema", {("error", "schema")}),
        ("hidden", {("error", "hidden-text"), ("error", "addresses-model")}),
        ("remote", {("error", "schema")}),
        ("takes", {("warning", "bad-input")}),
        ("trace", {("warning", "bad-input")}),
        ("crash", {("error", "crash")}),
        ("orders", {("error", "addresses-model")}),
        (
            "resources",
            {
                ("warning", "read"),
                ("error", "name"),
                ("error", "hidden-text"),
                ("error", "addresses-model"),
                ("warning", "bad-input"),
            },
        ),
        ("prompts", {("warning", "description"), ("warning", "bad-input")}),
        ("noise", CLEAN),
        ("endless", {("error", "list")}),
    ],
)
def test_fault_of_a_server_is_found(fault: str, expected: set[tuple[str, str]]):
    report = run(fault)
    assert grave(report) == expected, render_text(report)
    assert report.failed() is any(level == "error" for level, _ in expected)
    assert report.failed(strict=True) is bool(expected)


def test_odd_names_and_missing_texts_are_found():
    report = run("names", call_nothing=True)
    assert grave(report) == {("error", "name"), ("warning", "description")}
    assert report.calls == 0


def test_server_that_hangs_is_named():
    report = run("hang", timeout=5)
    assert ("error", "hang") in grave(report)


def test_tools_after_one_that_ends_the_server_are_tested_too():
    report = run("several", timeout=10, examples=1)
    found = {(one.check, one.subject) for one in report.findings if one.level != "note"}
    assert found == {("crash", "ends"), ("hang", "sleeps"), ("bad-input", "breaks")}
    assert report.calls >= 3
    assert report.eras["handshake"] == "2025-11-25"


def test_headers_reach_an_address_and_nothing_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("A_TOKEN", "s3cret")
    target = find_target(["http://127.0.0.1:9/mcp"], headers=["Authorization: Bearer ${A_TOKEN}"])
    assert target.headers == (("Authorization", "Bearer s3cret"),)
    with pytest.raises(ConfigError, match="NOT_SET") as missing:
        find_target(["http://127.0.0.1:9/mcp"], headers=["X-Key: ${NOT_SET}"])
    with pytest.raises(ConfigError, match="for HTTP"):
        find_target([str(BAD)], headers=["X-Key: 1"])
    with pytest.raises(ConfigError, match="Name: value"):
        find_target(["http://127.0.0.1:9/mcp"], headers=["s3cret"])
    assert "s3cret" not in str(missing.value)


def test_answer_that_takes_long_is_named():
    report = run("none", slow=0.0)
    assert ("warning", "slow") in grave(report)
    assert not report.failed()


def test_last_words_of_a_program_that_does_not_start_are_passed_on():
    code = "import sys; sys.exit('the key is missing')"
    target = Target("it", command=(sys.executable, "-c", code))
    report = anyio.run(probe, target, ProbeOptions(timeout=60))
    assert "the key is missing" in render_text(report)


def test_program_that_is_no_server_is_reported():
    target = Target("true", command=(sys.executable, "-c", "pass"))
    report = anyio.run(probe, target, ProbeOptions(timeout=60))
    assert grave(report) == {("error", "connect")}


def test_report_is_read_back_from_json_and_junit():
    report = run("takes")
    assert json.loads(render_json(report, strict=True))["passed"] is False
    suite = fromstring(render_junit(report, strict=True))  # noqa: S314 - our own text
    assert int(suite.get("failures", "0")) == len(suite.findall(".//failure")) > 0
    relaxed = fromstring(render_junit(report, strict=False))  # noqa: S314
    assert relaxed.get("failures") == "0"


def test_target_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="no package"):
        find_target([str(tmp_path)])
    with pytest.raises(ConfigError, match="There is no"):
        find_target([str(tmp_path / "x.py")])


_SCALARS: list[Schema] = [
    {"type": "string", "minLength": 2, "maxLength": 4},
    {"type": "integer", "minimum": 3, "maximum": 9},
    {"type": "number", "exclusiveMinimum": 0},
    {"type": "boolean"},
    {"enum": ["a", 5]},
    {"type": ["integer", "null"]},
    {"type": "string", "format": "date"},
    {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}$"},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2},
    {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
]


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def either(one: Schema, two: Schema) -> Schema:
    return {"anyOf": [one, two]}


def pair(one: Schema, two: Schema) -> Schema:
    return {"type": "object", "properties": {"a": one, "b": two}, "required": ["a"]}


def larger(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.one_of(
        st.builds(array, inner), st.builds(either, inner, inner), st.builds(pair, inner, inner)
    )


SCHEMAS = st.recursive(st.sampled_from(_SCALARS), larger, max_leaves=6)


@settings(max_examples=60, deadline=None)
@given(SCHEMAS, st.integers(0, 10))
def test_made_arguments_fit_their_schema_and_spoiled_ones_do_not(schema: Schema, seed: int):
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    check = jsonschema_rs.validator_for(whole)
    good = good_inputs(whole, seed=seed)
    assert good
    assert all(check.is_valid(one) for one in good)
    assert good == good_inputs(whole, seed=seed)
    bad = bad_inputs(whole, good[0])
    assert bad
    assert not any(check.is_valid(one.arguments) for one in bad)
