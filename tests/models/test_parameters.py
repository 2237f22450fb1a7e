"""Every parameter at every provider: it is in the request's body, or the reply's notes say it."""

from typing import Any

import pytest
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import ModelRequestParameters

from host.models.models import Models
from host.models.parameters import Parameters
from tests.fakes.model_provider import ModelProvider
from tests.models.test_wire import WITH_TOOL

pytestmark = pytest.mark.anyio

VALUES: dict[str, Any] = {
    "temperature": 0.31, "top_p": 0.82, "top_k": 33, "top_a": 0.11, "min_p": 0.07,
    "presence_penalty": 0.4, "frequency_penalty": 0.3, "repetition_penalty": 1.2, "seed": 77,
    "stop": ("END",), "max_tokens": 123, "reasoning": "low", "parallel_tools": False,
    "service_tier": "flex", "cache": "1h", "options": {"zzz": 1},
}  # fmt: skip
ALL = frozenset(VALUES)
COMPATIBLE = ALL - {
    "top_k", "top_a", "min_p", "repetition_penalty", "reasoning", "service_tier", "cache",
}  # fmt: skip
SAMPLING = frozenset(("temperature", "top_p", "presence_penalty", "frequency_penalty"))
ANTHROPIC = frozenset(
    ("temperature", "top_p", "top_k", "stop", "max_tokens", "reasoning", "parallel_tools", "cache",
     "options")
)  # fmt: skip
RESPONSES = frozenset(
    ("temperature", "top_p", "max_tokens", "reasoning", "parallel_tools", "service_tier", "options")
)
CHAT = COMPATIBLE | {"reasoning", "service_tier"}
GOOGLE = frozenset(
    ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed", "stop",
     "max_tokens", "reasoning", "service_tier")
)  # fmt: skip
SENT: dict[str, frozenset[str]] = {
    "anthropic:claude-haiku-4-5": ANTHROPIC,
    "anthropic:claude-opus-4-7": ANTHROPIC - {"temperature", "top_p", "top_k"},
    "openai:gpt-4.1": RESPONSES - {"reasoning"},
    "openai:gpt-5-nano": RESPONSES - SAMPLING,
    "openai-chat:gpt-4.1": CHAT - {"reasoning"},
    "openai-chat:gpt-5-nano": CHAT - SAMPLING,
    "azure:gpt-4.1": CHAT - {"reasoning"},
    "azure:gpt-5": CHAT - SAMPLING,
    "google:gemini-2.5-flash": GOOGLE,
    "google:gemini-2.0-flash": GOOGLE - {"reasoning"},
    "ollama:qwen3": (COMPATIBLE - {"parallel_tools"})
    | {"reasoning", "top_k", "min_p", "repetition_penalty"},
    "xai:grok-3": COMPATIBLE,
    "deepseek:deepseek-chat": COMPATIBLE,
    "deepseek:deepseek-reasoner": COMPATIBLE | {"reasoning"},
    "mistral:mistral-small-latest": COMPATIBLE,
    "openrouter:meta-llama/llama-3.3-70b": COMPATIBLE
    | {"top_k", "top_a", "min_p", "repetition_penalty"},
    "vllm:own": COMPATIBLE | {"top_k", "min_p", "repetition_penalty"},
    "work:own": COMPATIBLE,
}
"""What is sent to each; the table of docs/models.md says the same."""
OTHERS: dict[str, tuple[Any, ...]] = {
    "reasoning": ("off", "minimal", "max"),
    "service_tier": ("auto", "default", "priority"),
    "cache": (True, False),
    "parallel_tools": (True,),
}


async def sent(models: Models, vendor: ModelProvider, name: str, **given: Any) -> tuple[Any, Any]:
    """Return the body that left and the notes of the reply."""
    vendor.asked.clear()
    model = models.resolve(name, parameters=Parameters(**given))
    reply = await model.request([ModelRequest([UserPromptPart("Hi")])], None, WITH_TOOL)
    return vendor.asked[0].body, (reply.metadata or {})["notes"]


@pytest.mark.parametrize("name", SENT)
async def test_each_parameter_is_sent_or_reported(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    plain, notes = await sent(models, vendor, name)
    assert notes == []
    taken: set[str] = set()
    for parameter, value in VALUES.items():
        body, notes = await sent(models, vendor, name, **{parameter: value})
        assert (body == plain) is bool(notes), f"{parameter} was dropped in silence, or both"
        assert all(f"takes no {parameter};" in note for note in notes)
        if not notes:
            taken.add(parameter)
    assert taken == SENT[name]


DEFAULTS = {
    ("anthropic", "reasoning", "off"),
    ("anthropic", "cache", False),
    ("google", "service_tier", "auto"),
    ("openai", "reasoning", "off"),
    ("openai-chat", "reasoning", "off"),
    ("azure", "reasoning", "off"),
    ("google", "reasoning", "off"),
}
"""Values that are sent by leaving the field out: it is what the model does without it."""


@pytest.mark.parametrize("name", SENT)
async def test_other_values_of_a_parameter_are_sent_or_reported_too(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    plain, _ = await sent(models, vendor, name)
    for parameter, values in OTHERS.items():
        for value in values:
            body, notes = await sent(models, vendor, name, **{parameter: value})
            usual = (name.partition(":")[0], parameter, value) in DEFAULTS
            assert body != plain or notes or usual, f"{parameter} = {value!r} was dropped"


async def test_all_parameters_at_once_are_each_accounted_for(
    models: Models, vendor: ModelProvider
) -> None:
    body, notes = await sent(models, vendor, "openai-chat:gpt-5-nano", **VALUES)
    assert body["seed"] == 77
    missing = ALL - SENT["openai-chat:gpt-5-nano"]
    assert sorted(note.split(" takes no ")[1].split(";")[0] for note in notes) == sorted(missing)


async def test_streamed_reply_reports_as_a_whole_one_does(
    models: Models, vendor: ModelProvider
) -> None:
    model = models.resolve("openai:gpt-5-nano", parameters=Parameters(temperature=0.3))
    talk = [ModelRequest([UserPromptPart("Hi")])]
    reply = await model.ask([*talk], ModelRequestParameters())
    assert "temperature" not in vendor.asked[0].body
    assert (reply.metadata or {})["notes"] == [
        "openai:gpt-5-nano takes no temperature; temperature = 0.3 is not sent."
    ]


@pytest.mark.parametrize("name", ["mistral:mistral-small-latest", "work:own"])
async def test_longest_reply_has_the_name_that_small_servers_read(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    body, _ = await sent(models, vendor, name, max_tokens=99, seed=5)
    assert (body["max_tokens"], "max_completion_tokens" in body) == (99, False)
    assert body["random_seed" if name.startswith("mistral") else "seed"] == 5


@pytest.mark.parametrize(
    ("model", "given", "thinking", "left_out"),
    [
        ("claude-haiku-4-5", {"max_tokens": 333}, None, {"reasoning"}),
        ("claude-haiku-4-5", {"max_tokens": 1500}, 1024, set[str]()),
        ("claude-haiku-4-5", {"max_tokens": 6000, "temperature": 0.3}, 2048, {"temperature"}),
        ("claude-haiku-4-5", {"top_k": 3, "top_p": 0.97}, 2048, {"top_k"}),
        ("claude-sonnet-4-6", {"max_tokens": 333, "top_p": 0.5}, "adaptive", {"top_p"}),
    ],
)
async def test_claude_is_sent_nothing_that_it_refuses_beside_thinking(
    models: Models, vendor: ModelProvider, model: str, given: Any, thinking: Any, left_out: set[str]
) -> None:
    body, notes = await sent(models, vendor, f"anthropic:{model}", reasoning="low", **given)
    asked: dict[str, Any] = body.get("thinking") or {}
    assert (asked.get("budget_tokens") or asked.get("type")) == thinking
    assert {"temperature", "top_k"} & set(body) == set()
    assert {
        name for name in VALUES if any(f"takes no {name};" in note for note in notes)
    } == left_out
    assert asked.get("budget_tokens", 0) < body["max_tokens"]
