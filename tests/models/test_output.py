"""JSON Schema output: every way of asking, what is repaired, and what is given up."""

from pathlib import Path

import jsonschema_rs
import pytest
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from host.domain.errors import ConfigError, ModelOutputError
from host.models.compliance import measure_compliance
from host.models.config import ModelsConfig
from host.models.models import Models
from host.models.output import Mode, best_mode, plan_output, request_json
from host.models.route import RoutedModel
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
