"""Schemas of agents' answers, as the real SDK's client checks them."""

from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from host.agents.provider import outcome_schema
from host.domain.jsonrpc import Json
from tests.agents.test_face import write_agent
from tests.fakes.gateway_scene import PATIENCE, open_scene

pytestmark = pytest.mark.anyio

TREE: Json = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
        "inside": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    },
    "required": ["items"],
    "$defs": {"Item": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}
ROOT: Json = {"$ref": "#/$defs/Item", "$defs": TREE["$defs"]}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize(
    ("output", "answer"),
    [(TREE, '{"items": [{"n": 1}], "inside": {"items": []}}'), (ROOT, '{"value": {"n": 3}}')],
)
async def test_answer_whose_schema_refers_to_itself_reaches_a_client_that_checks_it(
    empty_store_folder: Path, mode: str, output: Json, answer: str
) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        turns = f"{{loop: true, turns: [{{json: {answer}}}]}}"
        write_agent(scene, "broken", "{turns: [{error: {fault: auth}}]}")
        write_agent(scene, "nested", turns, output=output, models=["scripted:broken", "nobody"])
        async with Client(
            scene.url, mode=mode, cache=None, read_timeout_seconds=PATIENCE
        ) as client:
            result = await client.call_tool("agent__nested", {"message": "Go"})
            asked = {"message": "Go", "model": "scripted:broken"}
            failed = await client.call_tool("agent__nested", asked)
            refused = await client.call_tool("agent__nested", {"message": "Go", "model": "nobody"})
    assert result.structured_content is not None
    assert result.structured_content["status"] == "succeeded", result
    assert result.structured_content["output"]
    assert failed.is_error
    assert failed.structured_content is not None
    assert failed.structured_content["status"] == "failed"
    assert refused.is_error
    assert "There is no model named 'nobody'." in str(refused.content)


def test_values_in_a_schema_are_not_taken_for_pointers() -> None:
    value: Any = {"const": {"$ref": "#/x"}, "properties": {"$ref": {"type": "string"}}}
    moved = outcome_schema({"type": "object", **value})["properties"]["output"]["anyOf"][0]
    assert moved == {"type": "object", **value}
