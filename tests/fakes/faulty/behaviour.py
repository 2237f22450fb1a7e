"""What the faulty server does for each request; the faces bring the bytes to the client."""

import os
import subprocess
import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

JSON = dict[str, Any]
STATELESS = "2026-07-28"
_VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
GARBAGE = b"\x00\xff this is not JSON {]\n"


class NoAnswer(Exception):  # noqa: N818 - not a failure of the fake: it was told to keep silent
    """The request is never answered."""


class Peer(Protocol):
    """The client, as one request sees it."""

    @abstractmethod
    async def send(self, message: JSON) -> None:
        """Send one JSON-RPC message on the stream of the request."""

    @abstractmethod
    async def garbage(self) -> None:
        """Send what is no JSON-RPC message."""

    @abstractmethod
    async def drop(self) -> None:
        """Close the stream of the request."""

    @abstractmethod
    async def ask(self, method: str, params: JSON) -> JSON:
        """Send a request to the client and return its result."""


def text(value: object) -> JSON:
    """Return a tool result of one text."""
    return {"content": [{"type": "text", "text": str(value)}]}


@dataclass
class Options:
    """What the command line asked for."""

    tools: int = 0
    start: str = ""
    list: str = ""


@dataclass
class Faulty:
    """The server; one for all its connections."""

    options: Options
    calls: "Counter[str]" = field(default_factory=Counter[str])
    cancelled: int = 0
    started: bool = False

    async def handle(self, request: JSON, peer: Peer) -> JSON | list[Any]:
        """Return the result of one request.

        Raises:
            NoAnswer: There is none.
        """
        method = request["method"]
        params: JSON = request.get("params") or {}
        if not self.started:
            self.started = True
            await self._misbehave(self.options.start, peer)
        if method == "tools/list":
            await self._misbehave(self.options.list, peer)
            return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **self._tools()}
        if method == "tools/call":
            return await self._call(request, params, peer)
        return _opening(method, params)

    async def _misbehave(self, what: str, peer: Peer) -> None:
        kind, _, argument = what.partition(":")
        if kind == "hang":
            await anyio.sleep_forever()
        if kind == "die":
            os._exit(3)
        if kind == "garbage":
            await peer.garbage()
            raise NoAnswer
        if kind == "slow":
            await anyio.sleep(float(argument))

    def _tools(self) -> JSON:
        names = [*TOOLS, *(f"bulk_{number}" for number in range(self.options.tools))]
        schema: JSON = {"type": "object", "properties": {}}
        described = "Misbehaves as its name says."
        return {
            "tools": [{"name": n, "description": described, "inputSchema": schema} for n in names]
        }

    async def _call(self, request: JSON, params: JSON, peer: Peer) -> JSON | list[Any]:
        name = params["name"]
        self.calls[name] += 1
        call = Call(self, request, params.get("arguments") or {}, params, peer)
        try:
            answer = await TOOLS.get(name, _echo)(call)
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return {"resultType": "complete", **answer} if isinstance(answer, dict) else answer


def _opening(method: str, params: JSON) -> JSON:
    """Answer the handshake, the discovery and whatever else is harmless."""
    info = {"name": "faulty", "version": "1"}
    if method == "initialize":
        version = params.get("protocolVersion", "2025-11-25")
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "server/discover":
        cache = {"ttlMs": 0, "cacheScope": "private"}
        versions: JSON = {"supportedVersions": [STATELESS], "capabilities": {"tools": {}}}
        return {"resultType": "complete", **cache, **versions, "serverInfo": info}
    return {}


@dataclass
class Call:
    """One tool call."""

    server: Faulty
    request: JSON
    arguments: JSON
    params: JSON
    peer: Peer

    @property
    def stateless(self) -> bool:
        """Whether the caller speaks the stateless revision."""
        return _VERSION_KEY in (self.params.get("_meta") or {})

    async def answer(self, result: object, *, request_id: object) -> None:
        """Answer a request right away."""
        await self.peer.send({"jsonrpc": "2.0", "id": request_id, "result": result})


Tool = Callable[[Call], Awaitable[Any]]


async def _echo(call: Call) -> JSON:
    return text(call.arguments.get("text", "echo"))


async def _pid(call: Call) -> JSON:
    return text(os.getpid())


async def _counts(call: Call) -> JSON:
    return {**text(""), "structuredContent": dict(call.server.calls)}


async def _hang(call: Call) -> JSON:
    await anyio.sleep_forever()
    raise AssertionError


async def _slow(call: Call) -> JSON:
    await anyio.sleep(float(call.arguments.get("seconds", 1)))
    return text("late")


async def _cancelled(call: Call) -> JSON:
    return text(call.server.cancelled)


async def _die(call: Call) -> JSON:
    os._exit(3)


async def _drop(call: Call) -> JSON:
    await call.peer.drop()
    raise NoAnswer


async def _garbage(call: Call) -> JSON:
    await call.peer.garbage()
    return text("after the garbage")


async def _only_garbage(call: Call) -> JSON:
    await call.peer.garbage()
    raise NoAnswer


async def _huge(call: Call) -> JSON:
    return text("x" * int(call.arguments.get("bytes", 100_000_000)))


async def _wrong_id(call: Call) -> JSON:
    await call.answer(text("for somebody else"), request_id=987_654_321)
    raise NoAnswer


async def _twice(call: Call) -> JSON:
    await call.answer({"resultType": "complete", **text("first")}, request_id=call.request["id"])
    return text("second")


async def _bad_result(call: Call) -> list[Any]:
    return ["no", "object"]


async def _error(call: Call) -> JSON:
    error = {"code": -32050, "message": "It failed.", "data": {"why": "told to"}}
    await call.peer.send({"jsonrpc": "2.0", "id": call.request["id"], "error": error})
    raise NoAnswer


async def _flood(call: Call) -> JSON:
    count = int(call.arguments.get("count", 10_000))
    for number in range(count):
        params = {"level": "info", "data": f"message {number}"}
        await call.peer.send(
            {"jsonrpc": "2.0", "method": "notifications/message", "params": params}
        )
    return text(f"{count} messages sent")


def _question(number: int) -> JSON:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    return {"mode": "form", "message": f"Question {number}?", "requestedSchema": schema}


async def _ask(call: Call) -> JSON:
    count = int(call.arguments.get("count", 1))
    given: JSON = call.params.get("inputResponses") or {}
    answers: list[JSON] = list(given.values())
    if call.stateless and not answers:
        asked = {
            f"q{n}": {"method": "elicitation/create", "params": _question(n)} for n in range(count)
        }
        return {"resultType": "input_required", "inputRequests": asked}
    if not call.stateless:

        async def one(number: int) -> None:
            answers.append(await call.peer.ask("elicitation/create", _question(number)))

        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(one, number)
    accepted = sum(answer.get("action") == "accept" for answer in answers)
    return text(f"{accepted} of {count} accepted")


async def _spawn(call: Call) -> JSON:
    # Its own pipes: a grandchild that keeps the server's stdout open would hide its end.
    child = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile that could suffer
        [sys.executable, "-c", "import time; time.sleep(600)"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return text(child.pid)


TOOLS: dict[str, Tool] = {
    "echo": _echo,
    "pid": _pid,
    "counts": _counts,
    "hang": _hang,
    "slow": _slow,
    "cancelled": _cancelled,
    "die": _die,
    "drop": _drop,
    "garbage": _garbage,
    "only_garbage": _only_garbage,
    "huge": _huge,
    "wrong_id": _wrong_id,
    "twice": _twice,
    "bad_result": _bad_result,
    "error": _error,
    "flood": _flood,
    "ask": _ask,
    "spawn": _spawn,
}
"""Every tool by name, in the order of listing."""
