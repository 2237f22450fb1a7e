"""Agents run on asyncio, as the store does."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic_ai.messages import ToolCallPart

from host.models import scripted


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def name_calls(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Let the model name the calls of each reply by a form that gets their number."""
    parts = scripted._parts

    def named(*given: Any) -> Iterator[Any]:
        for number, part in enumerate(parts(*given)):
            if isinstance(part, ToolCallPart):
                part.tool_call_id = form.format(number)
            yield part

    monkeypatch.setattr(scripted, "_parts", named)


@pytest.fixture
def ids_of_each_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model number the calls of each reply from 0, as some do."""
    name_calls(monkeypatch, "call_{}")


@pytest.fixture(params=["", "same"])
def one_id_for_all(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let the model give all calls one id, or none."""
    name_calls(monkeypatch, request.param)
