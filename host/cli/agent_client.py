"""The terminal as a client that stays: it hears what a run does, answers questions, stops it."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from host.cli.bridge import Bridge, BridgeError
from host.domain.errors import ConfigError, DaemonError
from host.domain.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, Json, RpcError, as_object
from host.domain.protocol import LATEST_HANDSHAKE, object_member
from host.domain.wait import end_of

EVENT_META = "mcp-agent-host/event"
"""Member of a progress notification's `_meta` that holds an event of a run."""

LINE_LIMIT = 64 * 1024 * 1024

OnEvent = Callable[[Json], None]
OnQuestion = Callable[[str, Json], Awaitable[Json]]


async def refuse(method: str, params: Json) -> Json:
    """Answer a question where nobody is there to be asked."""
    if method == "elicitation/create":
        return {"action": "decline"}
    raise RpcError(METHOD_NOT_FOUND, "The terminal does not answer this.")


class AgentClient:
    """A session with the daemon.

    Args:
        reader: From the daemon.
        writer: To the daemon.
        on_question: Answers what the host asks.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        on_question: OnQuestion = refuse,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._on_question = on_question
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._hearing: dict[int, OnEvent] = {}
        self._asked: dict[object, asyncio.Task[None]] = {}
        self._gone: DaemonError | None = None

    async def request(
        self, method: str, params: Json | None = None, *, on_event: OnEvent | None = None
    ) -> Json:
        """Return a request's result; a cancellation is passed on.

        Raises:
            RpcError: The host answered with an error.
            DaemonError: The daemon ended.
            OSError: `on_event` could not write what it heard; the request is cancelled.
        """
        if self._gone is not None:
            raise self._gone
        number = next(self._ids)
        body = dict(params or {})
        if on_event is not None:
            body["_meta"] = {"progressToken": number}
            self._hearing[number] = on_event
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": body})
        try:
            return await future
        except (asyncio.CancelledError, OSError):
            self._send(
                {
                    "jsonrpc": "2.0",
                    "method": "notifications/cancelled",
                    "params": {"requestId": number},
                }
            )
            raise
        finally:
            self._waiting.pop(number, None)
            self._hearing.pop(number, None)

    async def call(
        self, name: str, arguments: Json | None = None, *, on_event: OnEvent | None = None
    ) -> Json:
        """Return the result of a tool.

        Raises:
            ConfigError: Its arguments are wrong.
            DaemonError: It could not be called; the message is the host's.
        """
        try:
            params: Json = {"name": name, "arguments": arguments or {}}
            return await self.request("tools/call", params, on_event=on_event)
        except RpcError as error:
            if error.code == INVALID_PARAMS:
                raise ConfigError(error.message) from error
            raise DaemonError(error.message) from error

    async def listen(self) -> None:
        """Take what the daemon sends, until it ends; whoever still waits is told."""
        gone = DaemonError("The daemon ended before it answered.", next_step="See `host logs`.")
        try:
            while line := await self._reader.readline():
                self._take(as_object(json.loads(line)) or {})
        except (OSError, ValueError) as error:
            gone = DaemonError(
                f"The daemon cannot be understood: {error}.", next_step="See `host logs`."
            )
        finally:
            self._gone = gone
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(gone)

    def _take(self, message: Json) -> None:
        params = object_member(message, "params")
        if "method" in message and "id" in message:
            task = asyncio.create_task(self._answer(message))
            self._asked[message["id"]] = task
            task.add_done_callback(lambda _: self._asked.pop(message["id"], None))
        elif message.get("method") == "notifications/cancelled":
            task = self._asked.get(params.get("requestId"))
            if task is not None:
                task.cancel()
        elif message.get("method") == "notifications/progress":
            self._hear(params)
        elif "method" not in message:
            self._settle(message)

    async def drop_questions(self) -> None:
        """Stop asking whatever is being asked: the request that it belongs to has ended."""
        for task in list(self._asked.values()):
            await end_task(task)

    def _hear(self, params: Json) -> None:
        number = params.get("progressToken", 0)
        heard = self._hearing.get(number)
        event = object_member(params, "_meta").get(EVENT_META)
        found = as_object(event)
        if heard is None or found is None:
            return
        try:
            heard(found)
        except OSError as error:  # its pipe is closed: who asked has to know, and nobody else
            self._hearing.pop(number)
            future = self._waiting[number]
            if not future.done():
                future.set_exception(error)

    def _settle(self, message: Json) -> None:
        future = self._waiting.get(message.get("id", 0))
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(RpcError.from_wire(message["error"]))
        else:
            future.set_result(object_member(message, "result"))

    async def _answer(self, question: Json) -> None:
        reply: Json = {"jsonrpc": "2.0", "id": question["id"]}
        try:
            reply["result"] = await self._on_question(
                str(question["method"]), object_member(question, "params")
            )
        except RpcError as error:
            reply["error"] = {"code": error.code, "message": error.message}
        self._send(reply)

    def _send(self, message: Any) -> None:  # noqa: ANN401 - any JSON
        self._writer.write(json.dumps(message).encode() + b"\n")


async def end_task(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait until it has ended; what failed in it fails here.

    Whoever is cancelled meanwhile waits as well: a prompt that closes late would take the terminal
    away from the next one.
    """
    task.cancel()
    await end_of(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


@asynccontextmanager
async def open_client(on_question: OnQuestion | None = None) -> AsyncGenerator[AgentClient]:
    """Yield a session with the daemon, which is started if none runs.

    Args:
        on_question: Answers what the host asks; None declares that nobody can be asked.

    Raises:
        DaemonError: It cannot be reached.
    """
    try:
        connection = await asyncio.to_thread(lambda: Bridge([], hello="cli").connect())
    except BridgeError as error:
        raise DaemonError(f"The daemon cannot be reached: {error}.") from error
    connection.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=connection, limit=LINE_LIMIT)
    client = AgentClient(reader, writer, on_question=on_question or refuse)
    listening = asyncio.create_task(client.listen())
    try:
        await client.request(
            "initialize",
            {
                "protocolVersion": LATEST_HANDSHAKE,
                "capabilities": {"elicitation": {}} if on_question is not None else {},
                "clientInfo": {"name": "host", "version": "1"},
            },
        )
        writer.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        yield client
    finally:
        await client.drop_questions()
        writer.close()
        listening.cancel()
