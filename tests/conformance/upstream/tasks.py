"""The extension `io.modelcontextprotocol/tasks`: background tools, and methods."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
from mcp import MCPError
from mcp.server import Server
from mcp_types import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, RequestParams
from pydantic import Field

from tests.conformance.upstream.call import Call, ToolError, elicitation, missing_capability
from tests.conformance.upstream.content import result, text
from tests.conformance.upstream.hub import JSON, Context, Hub, is_modern
from tests.conformance.upstream.tool import properties, tool

EXTENSION = "io.modelcontextprotocol/tasks"
_NEEDED: JSON = {"extensions": {EXTENSION: {}}}
_CONFIRM: JSON = {"confirm": {"type": "boolean"}}


def _now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass
class UpstreamTask:
    """One background call: its state, what it waits for and how it ended."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    status: str = "working"
    created: str = field(default_factory=_now)
    updated: str = field(default_factory=_now)
    pending: JSON = field(default_factory=dict[str, Any])
    answers: JSON = field(default_factory=dict[str, Any])
    outcome: JSON = field(default_factory=dict[str, Any])
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    answered: anyio.Event = field(default_factory=anyio.Event)

    def move(self, status: str, outcome: JSON | None = None) -> None:
        """Enter a state; a terminal one brings `result` or `error`."""
        self.status, self.updated, self.outcome = status, _now(), outcome or {}

    def head(self) -> JSON:
        """Return the fields that every answer about this task carries."""
        return {
            "taskId": self.id,
            "status": self.status,
            "createdAt": self.created,
            "lastUpdatedAt": self.updated,
            "ttlMs": 60_000,
            "pollIntervalMs": 200,
        }

    def detail(self) -> JSON:
        """Return the answer to `tasks/get`."""
        asked = {"inputRequests": self.pending} if self.status == "input_required" else {}
        return {"resultType": "complete", **self.head(), **asked, **self.outcome}

    async def ask(self, requests: JSON) -> JSON:
        """Wait until the client has answered every request through `tasks/update`."""
        self.pending, self.answered = dict(requests), anyio.Event()
        self.move("input_required")
        await self.answered.wait()
        self.move("working")
        return self.answers

    def answer(self, responses: JSON) -> None:
        """Take the answers to what is pending; unknown keys are ignored."""
        for key in [key for key in responses if key in self.pending]:
            self.answers[key] = responses[key]
            del self.pending[key]
        if not self.pending:
            self.answered.set()


Work = Callable[[UpstreamTask], Awaitable[JSON]]


async def _run(task: UpstreamTask, work: Work) -> None:
    with task.scope:
        try:
            task.move("completed", {"result": await work(task)})
        except ToolError as error:
            task.move("completed", {"result": result(text(str(error)), isError=True)})
        except MCPError as error:
            failure = {"code": error.code, "message": error.message}
            task.move("failed", {"error": failure})
    if task.scope.cancelled_caught:
        task.move("cancelled")


def _declared(call: Call) -> bool:
    return is_modern(call.ctx) and EXTENSION in call.capabilities().get("extensions", {})


def _start(call: Call, work: Work) -> JSON:
    if not _declared(call):
        raise missing_capability(_NEEDED)
    task = UpstreamTask()
    call.hub.tasks[task.id] = task
    if call.hub.background is None:
        raise MCPError(INTERNAL_ERROR, "The upstream is not running")
    call.hub.background.start_soon(_run, task, work)
    return {"resultType": "task", **task.head()}


@tool("greet", "Greets at once; never a task.", properties("name", name="string"))
async def greet(call: Call) -> JSON:
    return result(text(f"Hello, {call.arguments['name']}!"))


@tool(
    "slow_compute",
    "Sleeps; a task for callers that know tasks.",
    properties("seconds", seconds="number", label="string"),
)
async def slow_compute(call: Call) -> JSON:
    async def work(_: UpstreamTask | None) -> JSON:
        await anyio.sleep(float(call.arguments["seconds"]))
        return result(text(f"Computed {call.arguments.get('label', '')}."))

    if not _declared(call) or not call.arguments["seconds"]:
        return await work(None)
    return _start(call, work)


@tool("failing_job", "A task that ends with an error result.")
async def failing_job(call: Call) -> JSON:
    async def work(_: UpstreamTask) -> JSON:
        await anyio.sleep(1)
        raise ToolError("The job failed.")

    return _start(call, work)


@tool("protocol_error_job", "A task that ends with a protocol error.")
async def protocol_error_job(call: Call) -> JSON:
    async def work(_: UpstreamTask) -> JSON:
        raise MCPError(INTERNAL_ERROR, "The job broke.")

    return _start(call, work)


@tool("confirm_delete", "A task that asks once.", properties(filename="string"))
async def confirm_delete(call: Call) -> JSON:
    async def work(task: UpstreamTask) -> JSON:
        answers = await task.ask({"confirm": elicitation("Delete it?", _CONFIRM)})
        return result(text(f"Answered {answers['confirm']['action']}."))

    return _start(call, work)


@tool("multi_input", "A task that asks two things at once.")
async def multi_input(call: Call) -> JSON:
    async def work(task: UpstreamTask) -> JSON:
        first, second = elicitation("First?", _CONFIRM), elicitation("Second?", _CONFIRM)
        answers = await task.ask({"first": first, "second": second})
        return result(text(f"{len(answers)} answers."))

    return _start(call, work)


@tool("test_tool_with_task", "Asks in the call and then goes on as a task.")
async def with_task(call: Call) -> JSON:
    if not _declared(call):
        raise missing_capability(_NEEDED)
    name: JSON = {"name": {"type": "string"}}
    request = elicitation("What is your name?", name, required=["name"])
    answer = (await call.ask({"user_name": request}))["user_name"]

    async def work(_: UpstreamTask) -> JSON:
        return result(text(f"Hello, {answer['content']['name']}!"))

    return _start(call, work)


class TaskParams(RequestParams):
    """Parameters of `tasks/get`, `tasks/update` and `tasks/cancel`."""

    task_id: str = Field(alias="taskId")
    input_responses: JSON = Field(alias="inputResponses", default_factory=dict[str, Any])


def _task(ctx: Context, params: TaskParams) -> UpstreamTask:
    capabilities = ctx.session.client_capabilities
    if capabilities is None or EXTENSION not in (capabilities.extensions or {}):
        raise missing_capability(_NEEDED)
    header = ctx.request.headers.get("mcp-name") if ctx.request is not None else None
    if header not in (None, params.task_id):
        raise MCPError(HEADER_MISMATCH, "mcp-name header does not match 'taskId'")
    task: UpstreamTask | None = ctx.lifespan_context.tasks.get(params.task_id)
    if task is None:
        raise MCPError(INVALID_PARAMS, "Unknown task", {"taskId": params.task_id})
    return task


async def get_task(ctx: Context, params: TaskParams) -> JSON:
    """Answer `tasks/get`."""
    return _task(ctx, params).detail()


async def update_task(ctx: Context, params: TaskParams) -> JSON:
    """Answer `tasks/update`: hand the client's answers to the task."""
    _task(ctx, params).answer(params.input_responses)
    return {}


async def cancel_task(ctx: Context, params: TaskParams) -> JSON:
    """Answer `tasks/cancel`; a finished task stays as it is."""
    task = _task(ctx, params)
    if task.status in ("working", "input_required"):
        task.scope.cancel()
    return {}


def add_tasks(server: Server[Hub]) -> None:
    """Advertise the extension on `server` and answer its methods."""
    server.extensions[EXTENSION] = {}
    server.add_request_handler("tasks/get", TaskParams, get_task)
    server.add_request_handler("tasks/update", TaskParams, update_task)
    server.add_request_handler("tasks/cancel", TaskParams, cancel_task)
