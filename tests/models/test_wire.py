"""The real SDKs against a server that speaks their formats: replies, tools, streams, failures."""

import traceback

import httpx2
import pytest
from pydantic_ai.messages import (
    BinaryContent,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from host.domain.errors import Fault, ModelError
from host.models.models import Models
from host.models.route import RoutedModel
from tests.fakes.model_provider import ModelProvider
from tests.fakes.model_wire import Answer
from tests.models.conftest import KEY, Clock

pytestmark = pytest.mark.anyio

EVERY = (
    "anthropic:claude-haiku-4-5",
    "openai:gpt-4.1",
    "openai-chat:gpt-4.1",
    "azure:gpt-4.1",
    "google:gemini-2.5-flash",
    "ollama:qwen3",
    "xai:grok-3",
    "deepseek:deepseek-chat",
    "mistral:mistral-small-latest",
    "openrouter:meta-llama/llama-3.3-70b",
    "work:own",
)
KINDS = EVERY[:6]
"""One model of each wire format."""
LOOK = ToolDefinition(
    name="look",
    description="Look.",
    parameters_json_schema={"type": "object", "properties": {"at": {"type": "string"}}},
)
WITH_TOOL = ModelRequestParameters(function_tools=[LOOK])


def says(text: str) -> list[ModelRequest]:
    return [ModelRequest([UserPromptPart(text)])]


async def ask(model: RoutedModel, parameters: ModelRequestParameters = WITH_TOOL) -> ModelResponse:
    return await model.request([*says("Hi")], None, parameters)


async def stream(model: RoutedModel) -> ModelResponse:
    return await model.ask([*says("Hi")], WITH_TOOL)


@pytest.mark.parametrize("name", EVERY)
async def test_every_provider_gives_text_and_counts_tokens(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    for reply in (await ask(models.resolve(name)), await stream(models.resolve(name))):
        assert [part.content for part in reply.parts if isinstance(part, TextPart)] == [
            "Hello there."
        ]
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (11, 7)
        assert reply.metadata is not None
        assert reply.metadata["model"] == name
    sent = str([asked.headers for asked in vendor.asked])
    assert KEY in sent


@pytest.mark.parametrize("name", KINDS)
async def test_every_format_gives_tool_calls_whole_and_streamed(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="", calls=(("look", {"at": "x"}),)))
    for reply in (await ask(models.resolve(name)), await stream(models.resolve(name))):
        calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
        assert [(part.tool_name, part.args_as_dict()) for part in calls] == [("look", {"at": "x"})]
        assert reply.finish_reason in {"tool_call", "stop"}
    assert "look" in str(vendor.asked[0].body["tools"])


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", KINDS)
async def test_every_format_takes_a_picture(
    name: str, streamed: bool, models: Models, vendor: ModelProvider
) -> None:
    picture = BinaryContent(b"\x89PNG picture", media_type="image/png")
    talk = [ModelRequest([UserPromptPart(["What is it?", picture])])]
    model = models.resolve(name)
    if streamed:
        await model.ask([*talk], WITH_TOOL)
    else:
        await model.request([*talk], None, WITH_TOOL)
    assert "iVBORw" in str(vendor.asked[0].body) or "iVBO" in str(vendor.asked[0].body)


FAILURES: tuple[tuple[Answer, Fault], ...] = (
    (Answer(status=401, error="bad key", kind="authentication_error"), "auth"),
    (Answer(status=404, error="no such model", kind="not_found_error"), "not_found"),
    (Answer(status=400, error="odd request", kind="invalid_request_error"), "rejected"),
    (Answer(status=429, error="slow down", kind="rate_limit_error"), "rate_limit"),
    (Answer(status=500, error="oops", kind="api_error"), "server"),
    (Answer(status=503, error="busy", kind="unavailable"), "overloaded"),
    (Answer(status=529, error="too busy", kind="overloaded_error"), "overloaded"),
    (Answer(raw=b'{"id": "half'), "malformed"),
)


@pytest.mark.parametrize(("answer", "fault"), FAILURES)
@pytest.mark.parametrize("name", KINDS)
async def test_every_failure_is_named_the_same_whoever_fails(
    name: str, answer: Answer, fault: Fault, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(answer)
    with pytest.raises(ModelError) as caught:
        await ask(models.resolve(name))
    assert caught.value.fault == fault
    assert caught.value.model == name
    assert len(vendor.asked) == (3 if caught.value.transient else 1)  # 1 + retries, no SDK's own
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("name", KINDS)
async def test_stream_cut_after_text_is_said_and_what_came_is_kept(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="one two three four", cut=True))
    model = models.resolve(name)
    said: list[str] = []
    with pytest.raises(ModelError) as caught:
        await model.ask([*says("Hi")], WITH_TOOL, heard=said.append)
    assert caught.value.fault == "cut"
    assert "".join(said).startswith("one two")
    assert len(vendor.asked) == 1


@pytest.mark.parametrize("name", KINDS)
async def test_cut_whole_reply_is_asked_for_again(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(cut=True), Answer(text="whole"))
    reply = await ask(models.resolve(name))
    assert reply.text == "whole"
    assert reply.metadata is not None
    assert len(reply.metadata["attempts"]) == 1


@pytest.mark.parametrize("name", KINDS)
async def test_retry_after_is_waited_for(
    name: str, models: Models, vendor: ModelProvider, clock: Clock
) -> None:
    busy = Answer(status=429, error="slow", kind="rate_limit", headers={"retry-after": "7"})
    vendor.will(busy, Answer())
    await ask(models.resolve(name))
    assert clock.slept == [7.0]


async def test_provider_that_is_not_there_is_said_with_what_to_do(
    models: Models, vendor: ModelProvider
) -> None:
    model = models.resolve("work:own")
    made = models._made[model.endpoints[0].name]

    async def refuse(request: httpx2.Request) -> None:
        raise httpx2.ConnectError("refused", request=request)

    made.client.event_hooks["request"] = [refuse]
    with pytest.raises(ModelError, match="Is it running") as caught:
        await ask(model)
    assert caught.value.fault == "connection"
    assert not vendor.asked


@pytest.mark.parametrize("name", KINDS)
async def test_key_that_a_provider_repeats_is_not_passed_on(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(status=401, error=f"bad key {KEY}", kind="authentication_error"))
    with pytest.raises(ModelError, match="refused the key") as caught:
        await ask(models.resolve(name))
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
