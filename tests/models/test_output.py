"""JSON Schema output: every way of asking, what is repaired, and what is given up."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from host.domain.errors import ConfigError, ModelOutputError
from host.models.compliance import TASKS, measure_compliance
from host.models.config import ModelsConfig
from host.models.models import Models
from host.models.output import Mode, best_mode, plan_output, request_json
from host.models.route import RoutedModel
from host.models.schema_shape import refers_to_itself
from host.secrets.keys import Keys
from tests.fakes.model_provider import ModelProvider
from tests.fakes.model_wire import Answer
from tests.models.test_wire import KINDS

pytestmark = pytest.mark.anyio

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 0}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
MODES: tuple[Mode, ...] = ("native", "tool", "prompted")


def scripted(folder: Path, script: str) -> RoutedModel:
    file = folder / "s.yaml"
    file.write_text(script)
    return Models(ModelsConfig(), keys=Keys(folder, {})).resolve(f"scripted:{file}")


def asked() -> list[ModelRequest]:
    return [ModelRequest([UserPromptPart("Which city?")])]


@pytest.mark.parametrize("mode", MODES)
async def test_reply_that_does_not_fit_is_sent_back_and_repaired(
    tmp_path: Path, mode: Mode
) -> None:
    model = scripted(
        tmp_path,
        """
        turns:
          - json: {city: Ulm, people: many}
          - json: {city: Ulm, people: 128000}
        """,
    )
    got = await request_json(model, [*asked()], plan_output(model, SCHEMA, mode=mode))
    assert got.value == {"city": "Ulm", "people": 128000}
    assert got.repairs == 1
    assert "people" in str(got.messages[1].parts)


@pytest.mark.parametrize("mode", MODES)
async def test_schema_that_is_never_met_ends_after_the_repairs(tmp_path: Path, mode: Mode) -> None:
    model = scripted(tmp_path, "{turns: [{json: {city: 7}}], loop: true}")
    with pytest.raises(ModelOutputError, match="not what the schema asks for"):
        await request_json(model, [*asked()], plan_output(model, SCHEMA, mode=mode, repairs=3))


async def test_json_in_a_fence_or_between_words_is_found(tmp_path: Path) -> None:
    for text in ("```json\\n[1, 2]\\n```", "Here it is: [1, 2]. Bye."):
        model = scripted(tmp_path, f'turns: [{{reply: "{text}"}}]')
        plan = plan_output(model, {"type": "array"}, mode="prompted")
        assert (await request_json(model, [*asked()], plan)).value == [1, 2]


async def test_schema_that_is_no_object_is_asked_for_inside_one(tmp_path: Path) -> None:
    model = scripted(tmp_path, "turns: [{json: {value: [1, 2]}}]")
    plan = plan_output(model, {"type": "array"}, mode="tool")
    assert (await request_json(model, [*asked()], plan)).value == [1, 2]


async def test_schema_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    model = scripted(tmp_path, "turns: [{reply: x}]")
    with pytest.raises(ConfigError, match="elsewhere"):
        plan_output(model, {"$ref": "http://127.0.0.1:9/schema.json"})


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("anthropic:claude-haiku-4-5", "native"),
        ("openai:gpt-4.1", "native"),
        ("openai-chat:gpt-4.1", "native"),
        ("google:gemini-2.5-flash", "native"),
        ("ollama:qwen3", "native"),
        ("work:own", "tool"),
        ("client", "prompted"),
    ],
)
async def test_best_way_of_asking_is_chosen_by_what_the_model_can(
    name: str, mode: Mode, models: Models
) -> None:
    assert best_mode(models.resolve(name)) == mode


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "name",
    KINDS,
)
async def test_schema_reaches_every_provider_in_every_way(
    name: str, mode: Mode, models: Models, vendor: ModelProvider
) -> None:
    value = {"city": "Ulm", "people": 1}
    vendor.will(
        Answer(text="", calls=(("final_result", value),))
        if mode == "tool"
        else Answer(text='{"city": "Ulm", "people": 1}')
    )
    model = models.resolve(name)
    got = await request_json(model, [*asked()], plan_output(model, SCHEMA, mode=mode))
    assert got.value == value
    assert "people" in str(vendor.asked[0].body)


def schema_of(name: str, inner: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {name: inner}, "required": [name]}


A = {"type": "string"}
ODD: dict[str, tuple[Any, Any]] = {
    "nullable": (schema_of("a", {"type": ["string", "null"], "minLength": 1}), {"a": None}),
    "anything": (schema_of("a", True), {"a": 1}),
    "anything else": (schema_of("a", {}), {"a": [1]}),
    "all of": ({"type": "object", "allOf": [schema_of("a", A)]}, {"a": "x"}),
    "no type": ({"properties": {"a": A}, "required": ["a"]}, {"a": "x"}),
    "one of": (schema_of("a", {"oneOf": [A, {"type": "integer"}]}), {"a": 1}),
    "recursive": (
        {"$ref": "#/$defs/N", "$defs": {"N": schema_of("n", {"anyOf": [
            {"$ref": "#/$defs/N"}, {"type": "null"}]})}},
        {"n": {"n": None}},
    ),
    "tuple": (schema_of("a", {"type": "array", "prefixItems": [A, A]}), {"a": ["x", "y"]}),
    "free": ({"type": "object"}, {"b": 1}),
    "dictionary": ({"type": "object", "additionalProperties": {"type": "integer"}}, {"b": 1}),
    "patterns": ({"type": "object", "patternProperties": {"^x": A}}, {"xa": "b"}),
    "many optional": (
        {"type": "object", "properties": {f"p{n}": A for n in range(40)}}, {"p1": "x"},
    ),
    "scalar": ({"type": "integer"}, 4),
    "list of kinds": ({"type": ["array", "object"], "items": A, "properties": {"a": A}}, ["x"]),
    "anything at all": ({}, "x"),
}  # fmt: skip
"""Schemas of which some vendor's package takes none, and a value of each."""


@pytest.mark.parametrize("name", [*KINDS, "work:own"])
async def test_schema_that_a_vendor_does_not_take_is_asked_for_in_another_way(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    model = models.resolve(name)
    for case, (schema, value) in ODD.items():
        plan = plan_output(model, schema)
        wrapped = {"value": value} if plan.asks_inside else value
        asked_as_tool = plan.mode == "tool"
        vendor.will(
            Answer(text="", calls=(("final_result", wrapped),))
            if asked_as_tool
            else Answer(text=json.dumps(wrapped))
        )
        got = await request_json(model, [*asked()], plan)
        assert (case, got.value) == (case, value)


async def test_only_what_claude_would_mangle_is_kept_from_its_native_way(models: Models) -> None:
    model = models.resolve("anthropic:claude-haiku-4-5")
    ways = {case: plan_output(model, schema).mode for case, (schema, _) in ODD.items()}
    native = {"nullable", "one of", "scalar", "list of kinds", "tuple"}
    assert {case for case, way in ways.items() if way == "native"} == native
    assert set(ways.values()) == {"native", "tool"}


@pytest.mark.parametrize("name", ["openai:gpt-4.1", "openai-chat:gpt-4.1"])
async def test_openai_is_not_told_that_an_open_object_is_closed(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    model = models.resolve(name)
    for case in ("dictionary", "free", "patterns", "all of"):
        schema, value = ODD[case]
        plan = plan_output(model, schema)
        vendor.will(Answer(text=json.dumps({"value": value} if plan.asks_inside else value)))
        await request_json(model, [*asked()], plan)
        body = json.dumps(vendor.asked[-1].body)
        assert '"strict": false' in body
        assert body.count('"additionalProperties": false') == plan.asks_inside


def test_schema_whose_parts_are_used_again_and_again_is_read_once() -> None:
    links = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)}
    bomb = {"$ref": "#/$defs/d0", "$defs": {**links, "d60": A}}
    assert not refers_to_itself(bomb)
    assert refers_to_itself({**bomb, "$defs": {**links, "d60": {"$ref": "#/$defs/d3"}}})


async def test_compliance_asks_claude_in_all_three_ways(
    models: Models, vendor: ModelProvider
) -> None:
    model = models.resolve("anthropic:claude-haiku-4-5")
    for mode in MODES:
        assert {plan_output(model, schema, mode=mode).mode for _, schema in TASKS} == {mode}
    got = await measure_compliance(model, "native")
    assert (got.asked, got.rate) == (5, 0.0)
    sent = json.dumps([asked.body["output_config"] for asked in vendor.asked])
    assert '"anyOf"' in sent
    assert '["string", "null"]' not in sent


async def test_compliance_counts_what_fitted_at_once_and_what_after_repair(tmp_path: Path) -> None:
    model = scripted(
        tmp_path,
        """
        turns:
          - when: {prompt: "Ada Lovelace, 36, has"}
            json: {name: Ada, age: 36, email: null}
          - when: {after: final_result}
            json: {value: [11, 13, 17]}
          - json: {value: [11]}
        loop: true
        """,
    )
    got = await measure_compliance(model, "tool", repeats=2)
    assert (got.asked, got.at_once, got.repaired, got.rate) == (10, 2, 2, 0.4)


@pytest.mark.parametrize("name", ["google:gemini-2.5-flash", "ollama:qwen3"])
async def test_model_that_takes_a_schema_or_tools_is_given_it_as_one_beside_others(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="", calls=(("final_result", {"city": "Ulm", "people": 1}),)))
    model = models.resolve(name)
    plan = plan_output(model, SCHEMA)
    look = ToolDefinition(name="look", parameters_json_schema={"type": "object"})
    tools = ModelRequestParameters(function_tools=[look])
    got = await request_json(model, [*asked()], plan, parameters=tools)
    assert got.value == {"city": "Ulm", "people": 1}
    assert plan.takes("final_result")
    assert plan.apply(ModelRequestParameters()).output_mode == "native"


@pytest.mark.parametrize("mode", MODES)
def test_schema_that_is_put_into_an_object_still_refers_to_itself(
    tmp_path: Path, mode: Mode
) -> None:
    model = scripted(tmp_path, "turns: [{reply: x}]")
    items = {"$defs": {"Item": {"type": "integer"}}, "type": "array"}
    plan = plan_output(model, {**items, "items": {"$ref": "#/$defs/Item"}}, mode=mode)
    parameters = plan.apply(ModelRequestParameters())
    sent = parameters.output_tools[0].parameters_json_schema if mode == "tool" else None
    if sent is None:
        assert parameters.output_object is not None
        sent = parameters.output_object.json_schema
    checked = jsonschema_rs.validator_for(sent)
    value = [1, 2] if mode == "prompted" else {"value": [1, 2]}
    assert checked.is_valid(value)
    assert not checked.is_valid(["one"] if mode == "prompted" else {"value": ["one"]})
