"""What commands that talk with an agent share."""

import asyncio
import json
import socket
from functools import partial

import pytest

from host.cli.agent_client import AgentClient, end_task
from host.cli.ask import answer_question
from host.domain.jsonrpc import Json

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_task_has_ended_though_whoever_ends_it_is_cancelled() -> None:
    begun, closing, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def prompt() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            closing.set()
            await closed.wait()

    task = asyncio.create_task(prompt())
    await begun.wait()
    ending = asyncio.create_task(end_task(task))
    await closing.wait()
    ending.cancel()
    asyncio.get_running_loop().call_later(0.05, closed.set)
    await asyncio.wait([ending])
    assert ending.cancelled()
    assert task.done()


async def interrupt(_prompt: str) -> str:
    """Type Ctrl-C."""
    raise KeyboardInterrupt


async def test_step_that_is_stopped_at_a_question_is_cancelled_before_anything_is_answered() -> (
    None
):
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    from_terminal, to_terminal = await asyncio.open_connection(sock=theirs)
    steps: list[asyncio.Task[Json]] = []

    async def ask(method: str, params: Json) -> Json:
        stop = steps[0].cancel
        return await answer_question(method, params, interrupt, lambda _text: None, stop=stop)

    client = AgentClient(reader, writer, on_question=ask)
    listening = asyncio.create_task(client.listen())
    steps.append(asyncio.create_task(client.call("orchestrator__run_agent")))
    question: Json = {"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {}}
    sent = [json.loads(await from_terminal.readline())]
    to_terminal.write(json.dumps(question).encode() + b"\n")
    await asyncio.wait(steps)
    await client.drop_questions()
    writer.close()
    sent += [json.loads(line) async for line in from_terminal]
    to_terminal.close()
    await listening
    assert steps[0].cancelled()
    assert [one["method"] for one in sent] == ["tools/call", "notifications/cancelled"]


async def test_question_outside_of_any_step_is_cancelled_by_ctrl_c() -> None:
    ask = partial(answer_question, "elicitation/create", {}, interrupt, lambda _text: None)
    assert await ask(stop=lambda: False) == {"action": "cancel"}
