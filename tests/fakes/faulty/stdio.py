"""The faulty server on stdin and stdout."""

import json
import os
import sys
from typing import Any, cast

import anyio
import anyio.abc
from typing_extensions import override

from tests.fakes.faulty.behaviour import GARBAGE, JSON, Faulty, NoAnswer, Peer


class Pipes(Peer):
    """The client at the other end of the pipes."""

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[anyio.Event, JSON]] = {}
        self._lock = anyio.Lock()
        self._asked = 0

    @override
    async def send(self, message: JSON) -> None:
        await self._write(json.dumps(message).encode() + b"\n")

    @override
    async def garbage(self) -> None:
        await self._write(GARBAGE)

    @override
    async def drop(self) -> None:
        os.close(sys.stdout.fileno())

    @override
    async def ask(self, method: str, params: JSON) -> JSON:
        self._asked += 1
        key = f"ask-{self._asked}"
        answered, answer = anyio.Event(), cast("JSON", {})
        self.waiting[key] = (answered, answer)
        await self.send({"jsonrpc": "2.0", "id": key, "method": method, "params": params})
        await answered.wait()
        return answer

    def take(self, message: JSON) -> None:
        """Take the client's answer to a question."""
        waiting = self.waiting.pop(str(message.get("id")), None)
        if waiting is not None:
            waiting[1].update(message.get("result") or {})
            waiting[0].set()

    async def _write(self, data: bytes) -> None:
        async with self._lock:
            await anyio.to_thread.run_sync(_write_all, data)


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


class StdioFace:
    """Reads lines, answers each request in a task of its own."""

    def __init__(self, server: Faulty) -> None:
        self.server = server
        self.peer = Pipes()
        self.running: dict[Any, anyio.CancelScope] = {}

    async def serve(self) -> None:
        """Serve until stdin closes."""
        async with anyio.create_task_group() as group:
            async for line in anyio.wrap_file(sys.stdin.buffer):
                self._take(json.loads(line), group)
            group.cancel_scope.cancel()

    def _take(self, message: JSON, group: anyio.abc.TaskGroup) -> None:
        if "method" not in message:
            self.peer.take(message)
        elif message["method"] == "notifications/cancelled":
            scope = self.running.get(message["params"]["requestId"])
            if scope is not None:
                scope.cancel()
        elif "id" in message:
            group.start_soon(self._answer, message)

    async def _answer(self, request: JSON) -> None:
        with anyio.CancelScope() as scope:
            self.running[request["id"]] = scope
            try:
                result = await self.server.handle(request, self.peer)
            except NoAnswer:
                return
            finally:
                del self.running[request["id"]]
            await self.peer.send({"jsonrpc": "2.0", "id": request["id"], "result": result})
