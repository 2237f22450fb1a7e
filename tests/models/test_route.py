"""Routes: one retry loop, fallback by kind of failure, cooldown, preference, requirements."""

import traceback
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors as google_errors
from pydantic_ai import exceptions as ai
from pydantic_ai.messages import ModelRequest, ModelResponse, UserPromptPart
from pydantic_ai.models import ModelRequestParameters

from host.domain.errors import ConfigError, ModelError, NotFoundError
from host.models.fault import fault_of
from host.models.headers import read_headers
from host.models.models import Models
from host.models.parameters import Parameters
from host.secrets.keys import Keys
from tests.fakes.model_provider import ModelProvider
from tests.fakes.model_wire import Answer
from tests.models.conftest import KEY, Clock, make_models

pytestmark = pytest.mark.anyio

NOTHING = ModelRequestParameters()


def script(folder: Path, name: str, turn: str) -> str:
    (folder / f"{name}.yaml").write_text(f"{{turns: [{turn}], loop: true}}")
    return f"scripted:{folder / name}.yaml"


def routed(folder: Path, clock: Clock, models: list[str], **route: Any) -> Models:
    config = {"routes": {"main": {"models": models, **route}}}
    return make_models(folder, "http://127.0.0.1:9", clock, **config)


async def ask(models: Models, **given: Any) -> ModelResponse:
    model = models.resolve("main", **given)
    return await model.request([ModelRequest([UserPromptPart("Hi")])], None, NOTHING)


def attempts(reply: ModelResponse) -> list[str]:
    return [attempt["fault"] for attempt in (reply.metadata or {})["attempts"]]


async def test_transient_failures_are_tried_again_and_then_the_next_model_is_asked(
    tmp_path: Path, clock: Clock
) -> None:
    bad = script(tmp_path, "bad", "{error: {fault: overloaded}}")
    good = script(tmp_path, "good", "{reply: good}")
    reply = await ask(routed(tmp_path, clock, [bad, good], retries=2))
    assert reply.text == "good"
    assert attempts(reply) == ["overloaded"] * 3
    first, second = clock.slept
    assert 0.375 <= first <= 0.625 < second <= 1.25


async def test_lasting_failure_goes_to_the_next_model_without_a_retry(
    tmp_path: Path, clock: Clock
) -> None:
    bad = script(tmp_path, "bad", "{error: {fault: quota}}")
    good = script(tmp_path, "good", "{reply: good}")
    reply = await ask(routed(tmp_path, clock, [bad, good]))
    assert (attempts(reply), clock.slept) == (["quota"], [])


async def test_failure_that_no_other_model_cures_ends_the_request(
    tmp_path: Path, clock: Clock
) -> None:
    bad = script(tmp_path, "bad", "{error: {fault: context}}")
    good = script(tmp_path, "good", "{reply: good}")
    with pytest.raises(ModelError) as caught:
        await ask(routed(tmp_path, clock, [bad, good]))
    assert caught.value.fault == "context"


async def test_long_retry_after_is_not_waited_for_where_another_model_can_answer(
    tmp_path: Path, clock: Clock
) -> None:
    bad = script(tmp_path, "bad", "{error: {fault: rate_limit, retry_after: 3600}}")
    good = script(tmp_path, "good", "{reply: good}")
    reply = await ask(routed(tmp_path, clock, [bad, good]))
    assert (reply.text, clock.slept) == ("good", [])


async def test_model_that_keeps_failing_rests_and_is_tried_again_afterwards(
    tmp_path: Path, clock: Clock
) -> None:
    bad = script(tmp_path, "bad", "{error: {fault: quota}}")
    good = script(tmp_path, "good", "{reply: good}")
    models = routed(tmp_path, clock, [bad, good], cooldown_after=2, cooldown=30)
    seen = [attempts(await ask(models)) for _ in range(3)]
    clock.now += 31
    seen.append(attempts(await ask(models)))
    assert seen == [["quota"], ["quota"], [], ["quota"]]


async def test_request_that_is_at_fault_itself_lets_no_model_rest(
    tmp_path: Path, clock: Clock
) -> None:
    turns = "{when: {prompt: long}, error: {fault: context}}, {reply: first}"
    first = script(tmp_path, "first", turns)
    second = script(tmp_path, "second", "{reply: second}")
    models = routed(tmp_path, clock, [first, second], cooldown_after=1)
    long = [ModelRequest([UserPromptPart("long")])]
    for _ in range(2):
        with pytest.raises(ModelError, match="more than fits"):
            await models.resolve("main").request([*long], None, NOTHING)
    assert (await ask(models)).text == "first"


async def test_wait_that_a_provider_asks_for_and_the_key_that_it_refuses_are_named(
    tmp_path: Path, vendor: ModelProvider, clock: Clock
) -> None:
    mine = {"base_url": vendor.url, "dialect": "anthropic", "key": "anthropic"}
    models = make_models(tmp_path, "http://127.0.0.1:9", clock, providers={"mine": mine})
    talk = [ModelRequest([UserPromptPart("Hi")])]
    slow = Answer(status=429, error="slow", headers={"retry-after": "3600"})
    vendor.will(slow)
    with pytest.raises(ModelError, match=r"slow\. It wants to be asked again in 3600 s\."):
        await models.resolve("mine:m").request([*talk], None, NOTHING)
    vendor.will(Answer(status=401, error="bad", kind="authentication_error"))
    with pytest.raises(ModelError, match="host keys set anthropic"):
        await models.resolve("mine:m").request([*talk], None, NOTHING)
    await models.aclose()


async def test_next_model_is_asked_where_no_client_samples(tmp_path: Path, clock: Clock) -> None:
    good = script(tmp_path, "good", "{reply: good}")
    reply = await ask(routed(tmp_path, clock, ["client", good]))
    assert (reply.text, attempts(reply)) == ("good", ["not_found"])


async def test_when_all_models_fail_each_is_named(tmp_path: Path, clock: Clock) -> None:
    one = script(tmp_path, "one", "{error: {fault: quota}}")
    two = script(tmp_path, "two", "{error: {fault: auth}}")
    with pytest.raises(ModelError) as caught:
        await ask(routed(tmp_path, clock, [one, two]))
    assert one in str(caught.value)
    assert two in str(caught.value)


async def test_stream_falls_back_before_its_first_event(tmp_path: Path, clock: Clock) -> None:
    bad = script(tmp_path, "bad", "{error: {fault: auth}}")
    good = script(tmp_path, "good", "{reply: good}")
    model = routed(tmp_path, clock, [bad, good]).resolve("main")
    talk = [ModelRequest([UserPromptPart("Hi")])]
    said: list[str] = []
    reply = await model.ask([*talk], NOTHING, heard=said.append)
    assert (reply.text, "".join(said)) == ("good", "good")
    assert attempts(reply) == ["auth"]


async def test_stream_that_has_begun_is_not_asked_for_again(tmp_path: Path, clock: Clock) -> None:
    bad = script(tmp_path, "bad", "{reply: one two, chunk: 4, cut_after: 4}")
    good = script(tmp_path, "good", "{reply: good}")
    model = routed(tmp_path, clock, [bad, good]).resolve("main")
    said: list[str] = []
    with pytest.raises(ModelError, match="in the middle of its reply"):
        await model.ask([ModelRequest([UserPromptPart("Hi")])], NOTHING, heard=said.append)
    assert said == ["one "]


async def test_cheapest_and_quickest_are_preferred_when_asked_for(
    tmp_path: Path, clock: Clock
) -> None:
    names = ["anthropic:claude-haiku-4-5", "openai:gpt-5-nano", "openai:gpt-4.1"]
    models = make_models(
        tmp_path,
        "http://127.0.0.1:9",
        clock,
        routes={
            "cheap": {"models": names, "prefer": "cost"},
            "quick": {"models": names, "prefer": "latency"},
            "main": {"models": names, "needs": {"max_price": 1.5}},
        },
    )
    order = [str(each.name) for each in models.resolve("cheap")._order()]
    assert order == ["openai:gpt-5-nano", names[0], names[2]]
    quick = models.resolve("quick")
    for endpoint, seconds in zip(quick.endpoints, (3.0, 1.0, 2.0), strict=True):
        endpoint.health.succeeded(seconds)
    assert [str(each.name) for each in quick._order()] == [names[1], names[2], names[0]]
    assert [str(each.name) for each in models.resolve("main").endpoints] == names[:2]
    await models.aclose()


async def test_route_that_no_model_satisfies_says_so(tmp_path: Path, clock: Clock) -> None:
    models = routed(tmp_path, clock, ["openai:gpt-4.1"], needs={"context": 10**9})
    with pytest.raises(ConfigError, match="has what the route needs"):
        models.resolve("main")
    await models.aclose()


@pytest.mark.parametrize(
    ("name", "sent", "noted"),
    [
        ("anthropic:claude-haiku-4-5", {"top_k": 5, "stop_sequences": ["end"]}, {"seed", "min_p"}),
        ("openai:gpt-4.1", {"top_p": 0.5}, {"seed", "min_p", "top_k", "stop"}),
        ("openai-chat:gpt-4.1", {"seed": 3, "stop": ["end"]}, {"min_p", "top_k"}),
        ("openrouter:x/y", {"seed": 3, "top_k": 5, "min_p": 0.1}, set[str]()),
        ("vllm:own", {"seed": 3, "top_k": 5, "min_p": 0.1}, set[str]()),
    ],
)
async def test_parameters_are_sent_or_reported_and_never_just_dropped(
    name: str, sent: dict[str, Any], noted: set[str], models: Models, vendor: ModelProvider
) -> None:
    wanted = Parameters(top_p=0.5, top_k=5, min_p=0.1, seed=3, stop=("end",))
    model = models.resolve(name, parameters=wanted)
    reply = await model.request([ModelRequest([UserPromptPart("Hi")])], None, NOTHING)
    body = vendor.asked[0].body
    assert {key: body.get(key) for key in sent} == sent
    notes = " ".join((reply.metadata or {})["notes"])
    assert {word for word in noted if f"takes no {word};" in notes} == noted
    assert notes.count(" takes no ") == len(noted)


async def test_prompt_cache_is_asked_for(models: Models, vendor: ModelProvider) -> None:
    model = models.resolve("anthropic:claude-haiku-4-5", parameters=Parameters(cache=True))
    await model.request(
        [ModelRequest([UserPromptPart("Hi")], instructions="Be short.")], None, NOTHING
    )
    assert "cache_control" in str(vendor.asked[0].body)


async def test_key_is_in_no_traceback_not_even_with_its_causes(
    models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(status=401, error="bad key", kind="authentication_error"))
    for name in ("anthropic:claude-haiku-4-5", "openai:gpt-4.1", "google:gemini-2.5-flash"):
        with pytest.raises(ModelError) as caught:
            await models.resolve(name).request(
                [ModelRequest([UserPromptPart("Hi")])], None, NOTHING
            )
        vendor.asked.clear()  # the test's own variables know the key
        frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        told = "".join(frames.format())
        assert KEY not in told


def concrete(base: type[BaseException]) -> set[type[BaseException]]:
    return {base}.union(*(concrete(kind) for kind in base.__subclasses__()))


@pytest.mark.parametrize(
    "base",
    [anthropic.AnthropicError, openai.OpenAIError, google_errors.APIError, ai.AgentRunError],
)
def test_no_error_of_a_vendor_is_unmapped(base: type[BaseException]) -> None:
    vendors = ("anthropic", "openai", "google", "pydantic_ai")
    kinds = {kind for kind in concrete(base) if kind.__module__.startswith(vendors)}
    kinds = {kind for kind in kinds if not issubclass(kind, TimeoutError)}  # known by that
    assert kinds
    unmapped = {kind.__name__ for kind in kinds if fault_of(kind.__new__(kind)) is None}
    assert unmapped == set()


def test_rate_limit_headers_are_read_in_both_ways() -> None:
    seen = read_headers(
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1m30s",
            "X-RateLimit-Remaining-Tokens": "12",
            "x-ratelimit-reset-tokens": "20ms",
        }
    )
    assert (seen.requests_left, seen.requests_reset) == (0, 90.0)
    assert (seen.tokens_left, seen.tokens_reset) == (12, 0.02)
    seen = read_headers(
        {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2999-01-01T00:00:00Z",
            "anthropic-ratelimit-tokens-remaining": "nonsense",
        }
    )
    assert seen.requests_left == 0
    assert seen.requests_reset is not None
    assert seen.requests_reset > 1e9
    assert seen.tokens_left is None


async def test_default_is_configured_or_has_a_key_or_is_ollamas_or_says_what_to_do(
    tmp_path: Path, clock: Clock, vendor: ModelProvider
) -> None:
    named = make_models(tmp_path, vendor.url, clock, default="scripted:demo")
    keyed = make_models(tmp_path, vendor.url, clock)
    bare = Models(keyed.config, keys=Keys(tmp_path, {}))
    with pytest.raises(ConfigError, match="--model scripted:demo"):
        await bare.default()
    vendor.local = ["qwen3"]
    found = [await models.default() for models in (named, keyed, bare)]
    assert found == ["scripted:demo", "anthropic:claude-haiku-4-5", "ollama:qwen3"]


async def test_own_price_of_a_model_stands_before_the_tables(tmp_path: Path, clock: Clock) -> None:
    entry = {"model": "openai:gpt-4.1", "price": {"input": 7, "output": 9}}
    models = make_models(tmp_path, "http://127.0.0.1:9", clock, models={"own": entry})
    card = next(card for card in models.describe() if card.name == "own")
    assert (card.input, card.output) == (7, 9)


async def test_route_is_described_by_the_model_that_has_what_it_needs(
    tmp_path: Path, clock: Clock
) -> None:
    entries = {
        "small": {"model": "openai:small", "context": 1000, "price": {"input": 1, "output": 1}},
        "large": {"model": "openai:large", "context": 9000, "price": {"input": 5, "output": 6}},
    }
    both = ["small", "large"]
    routes = {
        "any": {"models": both},
        "long": {"models": both, "needs": {"context": 5000, "tools": True}},
        "none": {"models": both, "needs": {"context": 5000, "max_price": 2}},
    }
    models = make_models(tmp_path, "http://127.0.0.1:9", clock, models=entries, routes=routes)
    cards = {card.name: card for card in models.describe()}
    shown = {
        name: (cards[name].input, cards[name].context, bool(cards[name].problem)) for name in routes
    }
    assert shown == {
        "any": (1, 1000, False),
        "long": (5, 9000, False),
        "none": (None, None, True),
    }
    assert cards["none"].line() == (
        "none (openai:small, openai:large): none of its models has what it needs"
    )
    await models.aclose()


async def test_model_name_is_right_without_a_key_if_it_leads_somewhere(
    tmp_path: Path, clock: Clock
) -> None:
    routes = {"quick": {"models": ["own", "client"]}, "bad": {"models": ["own", "ownn"]}}
    entries = {"own": {"model": "anthropic:brand-new"}}
    made = make_models(tmp_path, "http://127.0.0.1:9", clock, models=entries, routes=routes)
    models = Models(made.config, keys=Keys(tmp_path, {}))
    for name in ("own", "quick", "default", "client", "xai:unheard-of", "scripted:demo"):
        models.check_name(name)
    with pytest.raises(ConfigError, match=r"no model named 'ownn'\. Did you mean own"):
        models.check_name("bad")
    with pytest.raises(NotFoundError, match="no model provider named 'antropic'"):
        models.check_name("antropic:x")
