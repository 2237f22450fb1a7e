"""Scripted models: a conversation goes as its YAML says."""

from pathlib import Path

import pytest
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.tools import ToolDefinition

from host.domain.errors import InvalidConfigError, ModelError, NotFoundError
from host.models.config import ModelsConfig
from host.models.models import Models
from host.models.script import load_script
from host.models.scripted import ScriptedModel
from host.secrets.keys import Keys

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def script_of(folder: Path, text: str) -> ScriptedModel:
    (folder / "try.yaml").write_text(text)
    return ScriptedModel("try", load_script("try", (folder,)))


def says(text: str) -> ModelRequest:
    return ModelRequest([UserPromptPart(text)])


async def drain(stream: StreamedResponse) -> None:
    async for _ in stream:
        pass


NOTHING = ModelRequestParameters()


async def test_replies_follow_the_turns_and_fill_in_prompt_and_result(tmp_path: Path) -> None:
    model = script_of(
        tmp_path,
        """
        turns:
          - calls: [{tool: look, arguments: {path: "${prompt}/a"}}]
          - reply: "${result}, as you asked: ${prompt}"
        """,
    )
    talk: list[ModelMessage] = [says("docs")]
    first = await model.request(talk, None, NOTHING)
    assert first.parts == [ToolCallPart("look", {"path": "docs/a"}, tool_call_id="call_0_0")]
    assert first.finish_reason == "tool_call"
    talk += [first, ModelRequest([ToolReturnPart("look", "two files", tool_call_id="call_0_0")])]
    second = await model.request(talk, None, NOTHING)
    assert second.parts == [TextPart("two files, as you asked: docs")]


async def test_end_of_a_script_is_an_error_that_says_so(tmp_path: Path) -> None:
    model = script_of(tmp_path, "turns: [{reply: once}]")
    talk: list[ModelMessage] = [says("a"), ModelResponse([TextPart("once")]), says("b")]
    with pytest.raises(ModelError, match="has no turn for reply 2") as caught:
        await model.request(talk, None, NOTHING)
    assert caught.value.fault == "rejected"


async def test_streamed_reply_comes_in_pieces_and_ends_whole(tmp_path: Path) -> None:
    model = script_of(tmp_path, "turns: [{reply: abcdefgh, chunk: 3, chunk_delay: 0.001}]")
    pieces: list[str] = []
    async with model.request_stream([says("x")], None, NOTHING) as stream:
        async for event in stream:
            if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                pieces.append(event.part.content)
            elif isinstance(event, PartDeltaEvent):
                pieces.append(getattr(event.delta, "content_delta", ""))
    assert pieces == ["abc", "def", "gh"]
    reply = stream.get()
    assert (reply.parts, reply.state, reply.usage.output_tokens) == (
        [TextPart("abcdefgh")],
        "complete",
        2,
    )


async def test_cut_stream_gives_what_came_and_then_fails(tmp_path: Path) -> None:
    model = script_of(tmp_path, "turns: [{reply: abcdefgh, chunk: 3, cut_after: 6}]")
    async with model.request_stream([says("x")], None, NOTHING) as stream:
        with pytest.raises(ModelError) as caught:
            await drain(stream)
    assert caught.value.fault == "cut"
    assert stream.get().parts == [TextPart("abcdef")]


async def test_failure_that_ends_after_two_times_is_followed_by_the_reply(tmp_path: Path) -> None:
    model = script_of(tmp_path, "turns: [{reply: there, error: {fault: overloaded, times: 2}}]")
    for _ in range(2):
        with pytest.raises(ModelError):
            await model.request([says("x")], None, NOTHING)
    assert (await model.request([says("x")], None, NOTHING)).parts == [TextPart("there")]


async def test_json_reply_becomes_the_output_tools_arguments_where_there_is_one(
    tmp_path: Path,
) -> None:
    model = script_of(tmp_path, "turns: [{json: {a: 1}}]")
    tool = ToolDefinition(name="answer", parameters_json_schema={"type": "object"})
    in_tool = await model.request(
        [says("x")], None, ModelRequestParameters(output_tools=[tool], output_mode="tool")
    )
    assert in_tool.parts == [ToolCallPart("answer", {"a": 1}, tool_call_id="call_0_out")]
    assert (await model.request([says("x")], None, NOTHING)).parts == [TextPart('{"a": 1}')]


def test_script_with_faults_names_the_file_the_line_and_the_field(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("turns:\n  - reply: a\n    dealy: 3\n")
    with pytest.raises(InvalidConfigError) as caught:
        load_script("bad", (tmp_path,))
    assert "bad.yaml:3" in str(caught.value)
    assert "turns[0].dealy" in str(caught.value)


def test_unknown_script_lists_the_nearest_and_no_name_is_a_path_upwards(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="demo"):
        load_script("demo1", (tmp_path,))
    with pytest.raises(NotFoundError):
        load_script("../scripts/demo", (tmp_path,))


async def test_demo_uses_the_files_tool_that_is_offered_and_then_tells(tmp_path: Path) -> None:
    models = Models(ModelsConfig(), keys=Keys(tmp_path, {}))
    model = models.resolve("scripted:demo")
    offered = ToolDefinition(name="files__list", parameters_json_schema={"type": "object"})
    parameters = ModelRequestParameters(function_tools=[offered])
    talk: list[ModelMessage] = [says("which files are here?")]
    first = await model.request(talk, None, parameters)
    called = [part for part in first.parts if isinstance(part, ToolCallPart)]
    assert [part.tool_name for part in called] == ["files__list"]
    back = ToolReturnPart("files__list", "a.txt", tool_call_id=called[0].tool_call_id)
    talk += [first, ModelRequest([back])]
    second = await model.request(talk, None, parameters)
    assert second.text is not None
    assert "a.txt" in second.text
    assert second.metadata is not None
    assert second.metadata["model"] == "scripted:demo"
    assert second.metadata["cost"] == 0
