"""What each wire format says beside plain text: a test is a row of docs/models.md, a name a cell.

The other rows are in `test_wire`, `test_media`, `test_output` and `test_parameters`.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from typing_extensions import override

from host.domain.errors import Fault, ModelError
from host.models.bucket import Buckets, Lease
from host.models.config import LimitConfig
from host.models.models import Models
from host.models.parameters import Parameters
from host.models.route import RoutedModel
from tests.fakes.model_provider import ModelProvider
from tests.fakes.model_wire import Answer
from tests.models.conftest import Clock, make_models
from tests.models.test_wire import KINDS, WITH_TOOL, ask, says, stream

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", KINDS)
async def test_thoughts_come_apart_from_the_answer(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="Four.", thinking="Two and two."))
    for reply in (await ask(models.resolve(name)), await stream(models.resolve(name))):
        thoughts = [part.content for part in reply.parts if isinstance(part, ThinkingPart)]
        assert (thoughts, reply.text) == (["Two and two."], "Four.")


@pytest.mark.parametrize("name", KINDS)
async def test_several_calls_at_once_keep_their_order_and_have_ids_of_their_own(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="", calls=(("look", {"at": "x"}), ("look", {"at": "y"}))))
    for reply in (await ask(models.resolve(name)), await stream(models.resolve(name))):
        calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
        assert [part.args_as_dict() for part in calls] == [{"at": "x"}, {"at": "y"}]
        assert len({part.tool_call_id for part in calls}) == 2


@pytest.mark.parametrize("name", KINDS)
async def test_result_of_a_tool_goes_back_under_the_name_of_its_call(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    talk: list[ModelMessage] = [
        *says("Look at x."),
        ModelResponse([TextPart("I look."), ToolCallPart("look", {"at": "x"}, "call_7")]),
        ModelRequest([ToolReturnPart("look", "a red house", tool_call_id="call_7")]),
    ]
    await models.resolve(name).request(talk, None, WITH_TOOL)
    body = str(vendor.asked[0].body)
    assert "I look." in body
    assert "a red house" in body
    assert body.count("call_7") == 2 or name.startswith("google")  # Gemini goes by the tool's name


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", [name for name in KINDS if not name.startswith("google")])
async def test_arguments_that_are_no_object_reach_the_caller_as_they_are(
    name: str, streamed: bool, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="", calls=(("look", '{"at": '),)))
    model = models.resolve(name)
    reply = await (stream(model) if streamed else ask(model))
    [call] = [part for part in reply.parts if isinstance(part, ToolCallPart)]
    assert call.args == '{"at": '


async def test_arguments_that_geminis_own_package_refuses_are_a_malformed_reply(
    models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="", calls=(("look", '{"at": '),)))
    with pytest.raises(ModelError, match="cannot be read") as caught:
        await ask(models.resolve("google:gemini-2.5-flash"))
    assert caught.value.fault == "malformed"


async def broken(model: RoutedModel) -> tuple[str, ModelError]:
    """Take a stream to its error; return the text that had come and the error."""
    said: list[str] = []
    with pytest.raises(ModelError) as caught:
        await model.ask([*says("Hi")], WITH_TOOL, heard=said.append)
    return "".join(said), caught.value


@pytest.mark.parametrize("name", KINDS)
async def test_provider_that_fails_in_the_middle_of_a_stream_is_named_and_what_came_is_kept(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="one two three four", breaks="the fan stopped"))
    text, error = await broken(models.resolve(name))
    assert text.startswith("one two")
    assert error.fault in {"server", "overloaded"}
    assert "the fan stopped" in str(error)
    assert len(vendor.asked) == 1


@pytest.mark.parametrize("name", KINDS)
async def test_stream_that_stops_being_json_is_malformed(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="one two three four", breaks="x", raw=b'{"half": '))
    text, error = await broken(models.resolve(name))
    assert text.startswith("one two")
    assert error.fault == "malformed"


OPENING: tuple[tuple[Answer, Fault], ...] = (
    (Answer(status=401, error="bad key", kind="authentication_error"), "auth"),
    (Answer(status=429, error="slow down", kind="rate_limit_error"), "rate_limit"),
    (Answer(status=503, error="busy", kind="unavailable"), "overloaded"),
)


@pytest.mark.parametrize(("answer", "fault"), OPENING)
@pytest.mark.parametrize("name", KINDS)
async def test_stream_that_is_refused_is_asked_for_again_as_a_whole_reply_is(
    name: str, answer: Answer, fault: Fault, models: Models, vendor: ModelProvider, clock: Clock
) -> None:
    vendor.will(replace(answer, headers={"retry-after": "3"}), Answer(text="at last"))
    if fault == "auth":
        with pytest.raises(ModelError, match="refused the key"):
            await stream(models.resolve(name))
        return
    reply = await stream(models.resolve(name))
    assert (reply.text, clock.slept) == ("at last", [3.0])
    assert [made["fault"] for made in (reply.metadata or {})["attempts"]] == [fault]


LENGTH = {"anthropic": "max_tokens", "openai": "max_output_tokens", "google": "MAX_TOKENS"}


@pytest.mark.parametrize("name", KINDS)
async def test_reply_that_was_too_long_says_so(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(finish=LENGTH.get(name.partition(":")[0], "length")))
    for reply in (await ask(models.resolve(name)), await stream(models.resolve(name))):
        assert (reply.finish_reason, reply.text) == ("length", "Hello there.")
        notes = (reply.metadata or {})["notes"]
        assert notes == [
            f"{name} stopped at its longest reply (max_tokens): the answer is cut off."
        ]


OVERFLOWS = {
    "anthropic": ("prompt is too long: 212345 tokens > 200000 maximum", "invalid_request_error"),
    "openai": ("Your input exceeds the context window of this model.", "context_length_exceeded"),
    "openai-chat": ("This model's maximum context length is 8192.", "context_length_exceeded"),
    "azure": ("This model's maximum context length is 8192.", "context_length_exceeded"),
    "google": (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "INVALID_ARGUMENT",
    ),
    "ollama": ("request (9000 tokens) exceeds the available context size (4096 tokens)", ""),
}


@pytest.mark.parametrize("name", [*KINDS, "work:own"])
async def test_conversation_that_does_not_fit_is_told_from_other_refusals(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    said = OVERFLOWS.get(name.partition(":")[0], OVERFLOWS["ollama"])
    vendor.will(Answer(status=400, error=said[0], kind=said[1]))
    with pytest.raises(ModelError, match="more than fits") as caught:
        await ask(models.resolve(name))
    assert caught.value.fault == "context"


@pytest.mark.parametrize("name", [name for name in KINDS if not name.startswith("ollama")])
async def test_tokens_from_the_prompt_cache_are_counted_apart_and_cost_less(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    costs: list[float] = []
    for cached in (0, 8000):
        vendor.will(Answer(tokens=(10_000, 100), cached=cached))
        for reply in (await ask(models.resolve(name)), await stream(models.resolve(name))):
            assert (reply.usage.input_tokens, reply.usage.cache_read_tokens) == (10_000, cached)
            costs.append((reply.metadata or {})["cost"])
    assert costs[0] == costs[1] > costs[2] == costs[3] > 0


class Noting(Buckets):
    """Admits everything, and keeps what it was told."""

    def __init__(self) -> None:
        self.leases: list[Lease] = []
        self.begun = 0

    async def note(self) -> None:
        self.begun += 1

    @override
    @asynccontextmanager
    async def admit(self, bucket: str, limits: LimitConfig, tokens: int) -> AsyncGenerator[Lease]:
        self.leases.append(Lease(bucket, tokens, answered=self.note))
        yield self.leases[-1]


@pytest.mark.parametrize("name", KINDS)
async def test_headers_about_what_is_left_reach_the_rate_bucket(
    name: str, tmp_path: Path, vendor: ModelProvider, clock: Clock
) -> None:
    kind = "anthropic-ratelimit-requests-remaining"
    kind = kind if name.startswith("anthropic") else "x-ratelimit-remaining-requests"
    vendor.will(Answer(headers={kind: "17"}))
    models = make_models(tmp_path, vendor.url, clock)
    models.desk = replace(models.desk, buckets=(noting := Noting()))
    await ask(models.resolve(name))
    await stream(models.resolve(name))
    assert [lease.observed.requests_left for lease in noting.leases] == [17, 17]
    assert noting.begun == 1  # a stream's beginning: until then it may be on its way
    await models.aclose()


@pytest.mark.parametrize("name", KINDS)
async def test_what_a_refusal_asks_for_reaches_the_rate_bucket_that_others_share(
    name: str, tmp_path: Path, vendor: ModelProvider, clock: Clock
) -> None:
    vendor.will(Answer(status=429, headers={"retry-after": "7"}), Answer())
    models = make_models(tmp_path, vendor.url, clock)
    models.desk = replace(models.desk, buckets=(noting := Noting()))
    await stream(models.resolve(name))
    assert [lease.refused_for for lease in noting.leases] == [7.0, 0.0]
    await models.aclose()


async def test_ollama_is_told_its_context_and_how_long_to_stay(
    tmp_path: Path, vendor: ModelProvider, clock: Clock
) -> None:
    options = {"keep_alive": "30m", "mirostat": 2, "truncate": True}
    entry = {"model": "ollama:qwen3", "context": 16_384, "parameters": {"options": options}}
    models = make_models(tmp_path, vendor.url, clock, models={"local": entry})
    reply = await ask(models.resolve("local"))
    body = vendor.asked[0].body
    assert vendor.asked[0].path == "/api/chat"
    assert (body["keep_alive"], body["truncate"]) == ("30m", True)
    assert body["options"] == {"num_ctx": 16_384, "mirostat": 2}
    assert (reply.metadata or {})["notes"] == []
    await models.aclose()


@pytest.mark.parametrize(
    ("name", "level", "sent"),
    [
        ("ollama:qwen3", "low", True),
        ("ollama:qwen3", "off", False),
        ("ollama:gpt-oss:20b", "low", "low"),
        ("ollama:gpt-oss:20b", "max", "high"),
    ],
)
async def test_ollama_is_told_to_think_in_the_way_its_models_know(
    name: str, level: str, sent: object, models: Models, vendor: ModelProvider
) -> None:
    parameters = Parameters.model_validate({"reasoning": level})
    reply = await ask(models.resolve(name, parameters=parameters))
    assert vendor.asked[0].body["think"] == sent
    told = (reply.metadata or {})["notes"]
    assert told == (["ollama takes no reasoning 'max'; 'high' is sent."] if level == "max" else [])


async def test_ollama_is_not_left_to_cut_a_conversation_off_in_silence(
    models: Models, vendor: ModelProvider
) -> None:
    await ask(models.resolve("ollama:qwen3"))
    assert vendor.asked[0].body["truncate"] is False


async def test_ollamas_cloud_is_not_trusted_to_keep_to_a_schema(models: Models) -> None:
    local, cloud = (models.resolve(f"ollama:{name}") for name in ("qwen3", "qwen3-cloud"))
    assert local.profile.get("supports_json_schema_output")
    assert not cloud.profile.get("supports_json_schema_output")


async def test_instructions_and_thoughts_of_before_reach_ollama_in_their_own_fields(
    models: Models, vendor: ModelProvider
) -> None:
    talk: list[ModelMessage] = [
        ModelRequest([UserPromptPart("2 + 2?")]),
        ModelResponse([ThinkingPart("Easy."), TextPart("4")]),
        ModelRequest([UserPromptPart("And 3 + 3?")], instructions="Be short."),
    ]
    await models.resolve("ollama:qwen3").request(talk, None, WITH_TOOL)
    assert vendor.asked[0].body["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": "4", "thinking": "Easy."},
        {"role": "user", "content": "And 3 + 3?"},
    ]
