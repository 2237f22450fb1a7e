"""Real MCP clients use every feature over HTTP and stdio; see conftest for what they reach."""

import functools
from collections.abc import Callable

import pytest

from tests.clients import node_driver, python_driver
from tests.clients.target import JSON, WATCHED, Target

Observe = Callable[[str, Target], JSON]

CLIENTS: dict[str, Observe] = {
    f"{name}-{era}": functools.partial(python_driver.observe, opener, era)
    for name, opener in (
        ("python", python_driver.open_sdk),
        ("fastmcp", python_driver.open_fastmcp),
    )
    for era in ("handshake", "stateless")
} | {
    f"typescript-{mode}": functools.partial(node_driver.observe_typescript, mode)
    for mode in ("v1", "handshake", "stateless")
}
INSPECTOR: dict[str, Observe] = {
    f"inspector-{era}": functools.partial(node_driver.observe_inspector, era)
    for era in ("handshake", "stateless")
}

every_client = pytest.mark.parametrize("observe", CLIENTS.values(), ids=CLIENTS)
every_client_and_inspector = pytest.mark.parametrize(
    "observe", [*CLIENTS.values(), *INSPECTOR.values()], ids=[*CLIENTS, *INSPECTOR]
)


@every_client
def test_client_connects_and_sees_that_there_are_tools(observe: Observe, target: Target) -> None:
    assert observe("connect", target) == {"server": True}


@every_client_and_inspector
def test_client_lists_everything_in_the_servers_order(observe: Observe, target: Target) -> None:
    listed = observe("list", target)

    assert {"echo", "add", "test_simple_text", "json_schema_2020_12_tool"} <= set(listed["tools"])
    assert listed["resources"][:3] == ["test://static-text", "test://static-binary", WATCHED]
    assert listed["templates"][0] == "test://template/{id}/data"
    assert listed["prompts"][:2] == ["test_simple_prompt", "test_prompt_with_arguments"]


@every_client_and_inspector
def test_client_calls_a_tool_and_gets_its_result_as_sent(observe: Observe, target: Target) -> None:
    assert observe("call", target) == {"text": "hé", "structured": {"text": "hé"}}


@every_client
def test_client_is_asked_by_a_tool_and_its_answer_arrives(observe: Observe, target: Target) -> None:
    text = observe("elicit", target)["text"]

    assert text.startswith("User response: action=accept")
    assert "ada@example.com" in text


@every_client
def test_client_sees_progress_in_order_and_unchanged(observe: Observe, target: Target) -> None:
    assert observe("progress", target) == {"seen": [[0, 100], [50, 100], [100, 100]]}


@every_client
def test_cancelling_a_call_ends_it_in_the_upstream(observe: Observe, target: Target) -> None:
    assert observe("cancel", target) == {"rejected": True, "upstream": "cancelled"}


@every_client
def test_client_hears_of_a_change_it_subscribed_to(observe: Observe, target: Target) -> None:
    assert observe("subscribe", target) == {"updated": WATCHED}
