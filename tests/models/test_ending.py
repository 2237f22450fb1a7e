"""Replies that are none: withheld, given up, or cut off where half of one is of no use."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters

from host.domain.errors import BudgetExceededError, Fault, ModelError
from host.models.models import Models
from host.models.output import plan_output, request_json
from tests.fakes.model_provider import ModelProvider
from tests.fakes.model_wire import Answer
from tests.models.conftest import Clock, make_models
from tests.models.test_wire import KINDS, ask, says, stream

pytestmark = pytest.mark.anyio

Asked = Callable[[Model[None]], Awaitable[ModelResponse]]
WAYS = pytest.mark.parametrize("way", [ask, stream])
CHAT = "openai-chat:gpt-4.1"
CLAUDE = "anthropic:claude-haiku-4-5"
GEMINI = "google:gemini-2.5-flash"


@pytest.mark.parametrize("name", [name for name in KINDS if not name.startswith("ollama")])
async def test_refusal_is_an_error_with_the_providers_own_words(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="", refusal="I will not do that"))
    for way in (ask, stream):
        with pytest.raises(ModelError, match="I will not do that") as caught:
            await way(models.resolve(name))
        assert caught.value.fault == "filtered"
        assert str(caught.value).startswith(f"{name} withheld its reply (content filter): ")
    assert len(vendor.asked) == 2


FILTERS: tuple[tuple[str, str, Fault], ...] = (
    (CLAUDE, "refusal", "filtered"),
    ("openai:gpt-4.1", "content_filter", "filtered"),
    (CHAT, "content_filter", "filtered"),
    ("azure:gpt-4.1", "content_filter", "filtered"),
    ("work:own", "guardrail_intervened", "filtered"),
    ("work:own", "error", "server"),
    ("deepseek:deepseek-chat", "insufficient_system_resource", "overloaded"),
    *((GEMINI, word, "filtered") for word in (
        "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
        "LANGUAGE",
    )),
    *((GEMINI, word, "malformed") for word in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL")),
)  # fmt: skip


@pytest.mark.parametrize(("text", "way"), [("", ask), ("Half of it", stream)])
async def test_reply_that_a_provider_withheld_or_gave_up_is_an_error(
    text: str, way: Asked, models: Models, vendor: ModelProvider
) -> None:
    found: list[tuple[str, str, Fault]] = []
    for name, word, _ in FILTERS:
        vendor.will(Answer(text=text, finish=word))
        with pytest.raises(ModelError, match=word) as caught:
            await way(models.resolve(name))
        found.append((caught.value.model, word, caught.value.fault))
    assert found == [*FILTERS]


@WAYS
async def test_ending_in_words_that_nobody_knows_is_said_beside_the_answer(
    way: Asked, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(finish="eaten_by_a_dog"))
    reply = await way(models.resolve("work:own"))
    assert reply.text == "Hello there."
    [note] = (reply.metadata or {})["notes"]
    assert note == "work:own ended its reply in words of its own: eaten_by_a_dog."


@WAYS
async def test_other_model_of_a_route_is_asked_where_the_route_says_so(
    way: Asked, tmp_path: Path, vendor: ModelProvider, clock: Clock
) -> None:
    routes = {"main": {"models": [GEMINI, CLAUDE], "fallback_on": ["filtered"]}}
    models = make_models(tmp_path, vendor.url, clock, routes=routes)
    vendor.will(Answer(text="", refusal="no"), Answer(text="Gladly."))
    reply = await way(models.resolve("main"))
    assert reply.text == "Gladly."
    assert [made["fault"] for made in (reply.metadata or {})["attempts"]] == ["filtered"]
    await models.aclose()


@WAYS
async def test_filtered_reply_is_paid_for(
    way: Asked, tmp_path: Path, vendor: ModelProvider, clock: Clock
) -> None:
    price = {GEMINI: {"input": 100_000, "output": 0}}
    models = make_models(tmp_path, vendor.url, clock, prices=price, budgets={"run": 1})
    vendor.will(Answer(text="", refusal="no", tokens=(10, 0)))
    model = models.resolve(GEMINI)
    with pytest.raises(ModelError):
        await way(model)
    with pytest.raises(BudgetExceededError, match=r"is used up: \$1\.0000"):
        await way(model)
    await models.aclose()


LONGEST = {"anthropic": "max_tokens", "openai": "max_output_tokens", "google": "MAX_TOKENS"}


def cut(name: str, **given: Any) -> Answer:
    return Answer(**given, finish=LONGEST.get(name.partition(":")[0], "length"))


@pytest.mark.parametrize("name", KINDS)
async def test_call_that_was_cut_off_and_reply_that_was_all_thought_are_errors(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    call = cut(name, text="I look.", calls=(("look", {"at": "the ho"}),))
    thought = cut(name, text="", thinking="Hm, hm.")
    for answer, said in ((call, "in the middle of a tool call"), (thought, "before it answered")):
        for way in (ask, stream):
            vendor.will(answer)
            with pytest.raises(ModelError, match=said) as caught:
                await way(models.resolve(name))
            assert caught.value.fault == "length"
            assert "max_tokens" in str(caught.value)


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize("name", KINDS)
async def test_value_that_was_cut_off_is_an_error_and_a_whole_one_is_none(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    model = models.resolve(name)
    plan = plan_output(model, SCHEMA, mode="native")
    vendor.will(cut(name, text='{"n": 4'))
    with pytest.raises(ModelError, match="before its answer was what the schema asks") as caught:
        await request_json(model, [*says("How many?")], plan)
    assert caught.value.fault == "length"
    vendor.will(cut(name, text='{"n": 4}'))
    assert (await request_json(model, [*says("How many?")], plan)).value == {"n": 4}


async def test_number_that_was_cut_off_is_not_taken_for_a_shorter_one(
    tmp_path: Path, models: Models
) -> None:
    (tmp_path / "cut.yaml").write_text('{turns: [{reply: "12", finish: length}], loop: true}')
    model = models.resolve(f"scripted:{tmp_path / 'cut'}.yaml")
    plan = plan_output(model, {"type": "integer"}, mode="prompted")
    with pytest.raises(ModelError, match="before its answer was"):
        await request_json(model, [*says("How many?")], plan)


async def test_full_context_is_told_from_a_longest_reply(
    models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(finish="model_context_window_exceeded"))
    reply = await ask(models.resolve(CLAUDE))
    [note] = (reply.metadata or {})["notes"]
    assert note == f"{CLAUDE} stopped when its context was full: the answer is cut off."


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
async def test_request_that_is_refused_for_what_it_is_about_is_filtered(
    code: str, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(status=400, error="It was about knives", kind=code))
    for name in ("azure:gpt-4.1", "openai:gpt-4.1", CHAT):
        with pytest.raises(ModelError, match="withheld its reply") as caught:
            await ask(models.resolve(name), ModelRequestParameters())
        assert caught.value.fault == "filtered"
