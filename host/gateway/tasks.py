"""Calls that go on as tasks: the extension `io.modelcontextprotocol/tasks`, for what runs here.

A client that declares the extension gets a handle in place of a slow result, polls it by
`tasks/get`, answers questions by `tasks/update`, and may stop the work by `tasks/cancel`.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from host.domain.errors import HostError
from host.domain.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_CLIENT_CAPABILITY,
    Json,
    RpcError,
)
from host.domain.principal import Principal
from host.domain.protocol import CLIENT_METHODS, TASK_METHODS, TASKS_EXTENSION, object_member
from host.gateway.exchange import CANCELLED_BY_CLIENT, Exchange

log = logging.getLogger(__name__)

POLL_MS = 1000
"""Milliseconds after which a client should ask again."""
KEPT = 1000
"""Ended tasks that are remembered; the oldest is forgotten first."""
LOOK_AGAIN = 5.0
"""Seconds until a task of earlier is looked at without news: it may go on in another process."""
ENDED = ("completed", "failed", "cancelled")
"""States in which nothing more will happen."""
NEEDED: Json = {"extensions": {TASKS_EXTENSION: {}}}
"""What a client has to declare."""

Lookup = Callable[[Principal, str], Awaitable[Json | None]]
"""Returns a task of earlier by its principal and its own id, as `tasks/get` tells it."""
Stop = Callable[[Principal, str], Awaitable[None]]
"""Ends what has become of a task of earlier, if that goes on."""


def takes_tasks(exchange: Exchange) -> bool:
    """Whether a request's client can be given a task; what the host itself calls never is."""
    declared = object_member(exchange.capabilities, "extensions")
    return TASKS_EXTENSION in declared and exchange.depth == 0


def missing_extension() -> RpcError:
    """Return the error for a client that did not declare the extension."""
    text = f"This needs a client that declares the extension {TASKS_EXTENSION}."
    return RpcError(MISSING_CLIENT_CAPABILITY, text, {"requiredCapabilities": NEEDED})


@dataclass(eq=False)
class Task:
    """One call that goes on.

    Attributes:
        id: What the client knows it by.
        principal: Whose it is; nobody else gets to know that it exists.
        status: `working`, `input_required`, `completed`, `failed` or `cancelled`.
        message: Where it stands, for people.
        outcome: Once it has ended: `result` or `error`.
        questions: What the client has not answered yet, by key.
    """

    id: str
    principal: str
    told: Callable[["Task"], None]
    status: str = "working"
    message: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    updated: str = ""
    outcome: Json = field(default_factory=dict[str, Any])
    questions: dict[str, tuple[Json, asyncio.Future[Json]]] = field(
        default_factory=dict[str, tuple[Json, asyncio.Future[Json]]]
    )
    work: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.updated = self.created

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED

    def move(self, status: str, **outcome: Any) -> None:  # noqa: ANN401 - any JSON
        """Enter a state, and tell those who listen."""
        if self.ended:
            return
        self.status, self.outcome = status, outcome
        self.updated = datetime.now(UTC).isoformat()
        self.told(self)

    def head(self) -> Json:
        """Return what every message about it holds."""
        said = {"statusMessage": self.message} if self.message else {}
        return {
            "taskId": self.id,
            "status": self.status,
            **said,
            "createdAt": self.created,
            "lastUpdatedAt": self.updated,
            "ttlMs": None,
            "pollIntervalMs": POLL_MS,
        }

    def detail(self) -> Json:
        """Return all that can be told of it."""
        waiting = self.status == "input_required"
        asked = {"inputRequests": self.open_questions()} if waiting else {}
        return {**self.head(), **asked, **self.outcome}

    def open_questions(self) -> Json:
        """Return what the client has not answered yet."""
        return {key: ask for key, (ask, answer) in self.questions.items() if not answer.done()}

    async def ask(self, question: Json) -> Json:
        """Wait until the client has answered a question."""
        key = f"question-{secrets.token_hex(6)}"
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.questions[key] = (question, future)
        self.move("input_required")
        try:
            return await future
        finally:
            self.questions.pop(key, None)
            if not self.open_questions():
                self.move("working")

    def answer(self, responses: Json) -> None:
        """Take answers; a key that nothing waits under is passed over."""
        for key in responses:
            entry = self.questions.get(key)
            if entry is not None and not entry[1].done():
                entry[1].set_result(object_member(responses, key))
        if self.status == "input_required" and not self.open_questions():
            self.move("working")


class TaskExchange(Exchange):
    """A request that was answered by a task: whoever serves it asks and tells by that task.

    Args:
        first: The request.
        task: What it became.
    """

    def __init__(self, first: Exchange, task: Task) -> None:
        super().__init__(first.session, None, {"_meta": first.meta})
        self.follow(first)
        self.progress_token = task.id
        self._declared, self.task = first.capabilities, task

    @property
    @override
    def stateless(self) -> bool:
        return False

    @property
    @override
    def capabilities(self) -> Json:
        return self._declared

    @override
    def notify(self, method: str, params: Json | None) -> None:
        """Drop it: the request that it would belong to was answered."""

    @override
    def progress(self, params: Json) -> None:
        message = params.get("message")
        if isinstance(message, str):
            self.task.message = message

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        needed = CLIENT_METHODS.get(method, method)
        if needed not in self._declared:
            raise RpcError(METHOD_NOT_FOUND, f"The client did not declare {needed}.")
        body = {"method": method} | ({"params": params} if params is not None else {})
        return await self.task.ask(body)


class Tasks:
    """The tasks of one provider.

    Args:
        owner: The provider's name, the first part of its tasks' ids.
        told: Takes each change of a task.
        lookup: Finds tasks of before a restart; None where there are none.
        stop: Ends one of those.
    """

    def __init__(
        self,
        owner: str,
        told: Callable[[Task], None],
        *,
        lookup: Lookup | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.owner = owner
        self._told, self._lookup, self._stop = told, lookup, stop
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._followed: dict[str, set[asyncio.Event]] = {}

    def open(self, exchange: Exchange) -> tuple[Task, TaskExchange]:
        """Return a task for a request, and what stands for the request from now on."""
        task_id = f"{self.owner}:{secrets.token_hex(8)}"
        task = Task(task_id, exchange.session.principal.id, self._told)
        return task, TaskExchange(exchange, task)

    def begin(self, task: Task, work: Awaitable[Json], *, own_id: str | None = None) -> Json:
        """Let the work go on by itself, and return the handle that the client gets.

        Args:
            task: From `open`.
            work: Ends with the result of the call.
            own_id: What the provider knows it by; None leaves the id that was made up.
        """
        if own_id is not None:
            task.id = f"{self.owner}:{own_id}"
        self._tasks[task.id] = task
        ended = [one for one in self._tasks.values() if one.ended]
        for old in ended[: max(0, len(ended) - KEPT)]:
            del self._tasks[old.id]
        task.work = asyncio.create_task(_carry_out(task, work), name=f"task-{task.id}")
        return {"resultType": "task", **task.head()}

    async def serve(self, exchange: Exchange, method: str, params: Json) -> Json:
        """Serve a method of the extension.

        Raises:
            RpcError: There is no such method or task, or the client did not declare the extension.
        """
        if method not in TASK_METHODS:
            raise RpcError(METHOD_NOT_FOUND, "Method not found", method)
        if TASKS_EXTENSION not in object_member(exchange.capabilities, "extensions"):
            raise missing_extension()
        principal, task_id = exchange.session.principal, params.get("taskId")
        task = self._tasks.get(str(task_id))
        if task is None or task.principal != principal.id:
            return await self._serve_past(principal, method, str(task_id))
        if method == "tasks/get":
            return task.detail()
        if method == "tasks/update":
            task.answer(object_member(params, "inputResponses"))
        elif task.work is not None and not task.ended:
            task.work.cancel(CANCELLED_BY_CLIENT)
        return {}

    async def _past(self, principal: Principal, task_id: str) -> Json | None:
        """Return a task of earlier without its id, if there is such a one."""
        own_id = task_id.removeprefix(f"{self.owner}:")
        if self._lookup is None or own_id == task_id:
            return None
        return await self._lookup(principal, own_id)

    async def _serve_past(self, principal: Principal, method: str, task_id: str) -> Json:
        found = await self._past(principal, task_id)
        if found is None:
            raise RpcError(INVALID_PARAMS, f"There is no task {task_id!r}.", {"taskId": task_id})
        if method == "tasks/get":
            return {"taskId": task_id, **found}
        if method == "tasks/cancel" and found["status"] == "working" and self._stop is not None:
            await self._stop(principal, task_id.removeprefix(f"{self.owner}:"))
        return {}

    def goes_on(self, principal: Principal, task_id: str) -> bool:
        """Whether somebody has a task that goes on here, whose changes are told as they come."""
        task = self._tasks.get(task_id)
        return task is not None and task.principal == principal.id and not task.ended

    async def is_known(self, principal: Principal, task_id: str) -> bool:
        """Whether somebody has a task that ended here, or one of earlier.

        Raises:
            HostError: That cannot be found out now.
        """
        task = self._tasks.get(task_id)
        if task is not None and task.principal == principal.id:
            return True
        return await self._past(principal, task_id) is not None

    async def follow(self, principal: Principal, task_id: str, tell: Callable[[], None]) -> None:
        """Tell how a task stands that does not go on here, and each change of that until it ends.

        Args:
            principal: Whose it is.
            task_id: The task.
            tell: Called when there is something to be told.
        """
        news, known = asyncio.Event(), ("", "")
        followers = self._followed.setdefault(task_id, set())
        followers.add(news)
        try:
            while True:
                try:
                    found = await self._past(principal, task_id) or {"status": "completed"}
                except HostError as error:
                    log.debug("the task %s is looked at again: %s", task_id, error)
                    found = None
                if found is not None:
                    now = str(found["status"]), str(found.get("statusMessage"))
                    if now != known:
                        tell()
                    known = now
                if known[0] in ENDED:
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN):
                        await news.wait()
                news.clear()
        finally:
            followers.discard(news)
            if not followers:
                self._followed.pop(task_id, None)

    def heard(self, own_id: str) -> None:
        """Take it that there is news of what a task of earlier has become."""
        for news in self._followed.get(f"{self.owner}:{own_id}", ()):
            news.set()

    @property
    def followed(self) -> bool:
        """Whether somebody wants to hear of tasks of earlier."""
        return bool(self._followed)


async def _carry_out(task: Task, work: Awaitable[Json]) -> None:
    try:
        task.move("completed", result=await work)
    except asyncio.CancelledError:
        task.move("cancelled")
        raise
    except RpcError as error:
        task.move("failed", error={"code": error.code, "message": error.message})
    except HostError as error:
        task.move("failed", error={"code": INTERNAL_ERROR, "message": str(error)})
