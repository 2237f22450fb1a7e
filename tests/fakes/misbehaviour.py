"""A tool server that behaves as badly as it is told to, in either protocol era.

It is plain JSON-RPC on the standard library alone, because a well-behaved SDK could not say most of
this. `tests.fakes.misbehaving_stdio` runs it as a child process, `tests.fakes.misbehaving_http` in
the test's own process.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Json = dict[str, Any]
NOTHING: Json = {}
META = "io.modelcontextprotocol/"
WATCHED = "fake://watched"

TOOLS = [
    *("echo", "raw", "fail", "hang", "die", "ask", "sample", "roots", "together", "progress"),
    *("log", "big", "add", "touch", "flood", "spawn", "garbage", "odd", "heard", "mute", "answer"),
]
CAPABILITIES: Json = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "prompts": {"listChanged": True},
    "completions": {},
    "logging": {},
}


class RefusalError(Exception):
    """A JSON-RPC error that the server answers with."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data

    def to_wire(self) -> Json:
        body: Json = {"code": self.code, "message": self.message}
        return body if self.data is None else {**body, "data": self.data}


def mutter(words: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


class Peer:
    """The way back to whoever sent a request."""

    def __init__(self, send: Callable[[Json], None], *, stateless: bool) -> None:
        self.send = send
        self.stateless = stateless

    def notify(self, method: str, params: Json | None = None) -> None:
        self.send({"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})})


class Misbehaviour:
    """What the server does; every tool is a method named `do_TOOL`.

    Args:
        era: `handshake`, `stateless` or `both`.
        tools: How many further tools it lists, named `tool-0000` and so on.
        page: Entries to a page; 0 lists all at once.
        circle: Whether its pages never end.
        hang: A method that it never answers.
        extra: Further definitions to list, verbatim.
    """

    def __init__(
        self,
        *,
        era: str = "handshake",
        tools: int = 0,
        page: int = 0,
        circle: bool = False,
        hang: str = "",
        extra: list[Json] | None = None,
    ) -> None:
        self.era, self.page, self.circle, self.hang = era, page, circle, hang
        self.tools: list[Json] = [
            {"name": name, "inputSchema": {"type": "object"}} for name in TOOLS
        ]
        self.tools += [describe(number) for number in range(tools)]
        self.tools += extra or []
        self.seen: list[Json] = []
        self.changed = asyncio.Condition()
        self.asked: dict[str, asyncio.Future[Json]] = {}
        self.running: dict[Any, asyncio.Task[None]] = {}
        self.together = 0
        self.subscribed: set[str] = set()
        self.listeners: list[tuple[Peer, Any, Json]] = []
        self.broadcast: Callable[[Json], None] = lambda message: None
        """Says something that belongs to no request, in the handshake era."""

    async def note(self, kind: str, value: object = None) -> None:
        """Write down that something was seen, for `wait_seen` and the tool `heard`."""
        self.seen.append({"kind": kind, "value": value})
        async with self.changed:
            self.changed.notify_all()

    async def wait_seen(self, kind: str, count: int = 1) -> list[Any]:
        """Wait until something was seen so often; return what came with it."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.values(kind)) >= count)
        return self.values(kind)

    def values(self, kind: str) -> list[Any]:
        """Return what came with everything of one kind."""
        return [entry["value"] for entry in self.seen if entry["kind"] == kind]

    async def receive(self, message: Json, peer: Peer) -> None:
        """Take a message of the client; requests are served side by side."""
        if "method" not in message:
            future = self.asked.pop(str(message["id"]), None)
            if future is not None and not future.done():
                future.set_result(message)
        elif "id" not in message:
            await self.take_notice(message["method"], message.get("params", NOTHING))
        else:
            task = asyncio.ensure_future(self.serve(message, peer))
            self.running[message["id"]] = task
            task.add_done_callback(lambda _: self.running.pop(message["id"], None))

    async def take_notice(self, method: str, params: Json) -> None:
        await self.note(method, params)
        if method == "notifications/cancelled" and params.get("requestId") in self.running:
            self.running[params["requestId"]].cancel()

    async def serve(self, message: Json, peer: Peer) -> None:
        """Answer one request."""
        request_id, method, params = (
            message["id"],
            message["method"],
            message.get("params", NOTHING),
        )
        peer.stateless = META + "protocolVersion" in params.get("_meta", NOTHING)
        try:
            result = await self.answer(request_id, method, params, peer)
        except RefusalError as refusal:
            peer.send({"jsonrpc": "2.0", "id": request_id, "error": refusal.to_wire()})
        except asyncio.CancelledError:
            await self.note("cancelled", params.get("name") or method)
            raise
        else:
            if peer.stateless and "resultType" not in result:
                result = {"resultType": "complete", **result}
            peer.send({"jsonrpc": "2.0", "id": request_id, "result": result})

    async def answer(self, request_id: object, method: str, params: Json, peer: Peer) -> Json:
        """Return the result of a request."""
        await self.note(method, params)
        if method == self.hang:
            await asyncio.Event().wait()
        self._check_era(method, stateless=peer.stateless)
        if method == "tools/call":
            do = getattr(self, f"do_{params['name']}", self.do_echo)
            return await do(params.get("arguments", NOTHING), params, peer)
        if method == "subscriptions/listen":
            return await self.listen(request_id, params, peer)
        known = METHODS.get(method)
        if known is None:
            raise RefusalError(-32601, "Method not found")
        return known(self, params)

    def _check_era(self, method: str, *, stateless: bool) -> None:
        if self.era != "both" and stateless is not (self.era == "stateless"):
            raise RefusalError(-32601 if method == "server/discover" else -32600, "the other era")

    def initialize(self, params: Json) -> Json:
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": CAPABILITIES,
            "serverInfo": {"name": "misbehaving", "version": "1"},
        }

    def discover(self, params: Json) -> Json:
        return {"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES}

    def list_tools(self, params: Json) -> Json:
        start = int(params.get("cursor") or 0)
        if self.circle:
            return {"tools": self.tools, "nextCursor": "7"}
        if not self.page:
            return {"tools": self.tools}
        rest = {"nextCursor": str(start + self.page)} if start + self.page < len(self.tools) else {}
        return {"tools": self.tools[start : start + self.page], **rest}

    def list_resources(self, params: Json) -> Json:
        return {"resources": [{"uri": WATCHED, "name": "watched", "icons": [{"src": "data:,"}]}]}

    def list_templates(self, params: Json) -> Json:
        return {"resourceTemplates": [{"uriTemplate": "fake://item/{id}", "name": "item"}]}

    def list_prompts(self, params: Json) -> Json:
        return {"prompts": [{"name": "greet", "arguments": [{"name": "who"}]}]}

    def read(self, params: Json) -> Json:
        return {"contents": [{"uri": params["uri"], "text": "here", "x-unknown": None}]}

    def get_prompt(self, params: Json) -> Json:
        content = {"type": "text", "text": f"Hello {params.get('arguments', {}).get('who')}"}
        return {"messages": [{"role": "user", "content": content}]}

    def complete(self, params: Json) -> Json:
        return {"completion": {"values": [params["ref"].get("name") or params["ref"]["uri"]]}}

    def subscribe(self, params: Json) -> Json:
        self.subscribed.add(params["uri"])
        return {}

    def unsubscribe(self, params: Json) -> Json:
        self.subscribed.discard(params["uri"])
        return {}

    def nothing(self, params: Json) -> Json:
        return {}

    async def listen(self, request_id: object, params: Json, peer: Peer) -> Json:
        wishes: Json = params.get("notifications", NOTHING)
        meta = {"_meta": {META + "subscriptionId": request_id}}
        entry = (peer, request_id, wishes)
        self.listeners.append(entry)
        peer.notify("notifications/subscriptions/acknowledged", {"notifications": wishes, **meta})
        await self.note("listening", wishes)
        try:
            await asyncio.Event().wait()
        finally:
            self.listeners.remove(entry)
        return meta

    def announce(self, method: str, params: Json | None = None) -> None:
        """Say something that belongs to no request, to clients of both eras."""
        message = {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}
        if self.era != "stateless":
            self.broadcast(message)
        for peer, request_id, wishes in self.listeners:
            if method.endswith("updated") and not wishes.get("resourceSubscriptions"):
                continue
            peer.notify(method, {**(params or {}), "_meta": {META + "subscriptionId": request_id}})

    async def ask(self, peer: Peer, method: str, params: Json, call: Json) -> Json:
        """Ask the client in the way of its era; return its result."""
        if peer.stateless:
            responses = call.get("inputResponses")
            if responses is None:
                question = {"method": method, "params": params}
                raise NeedsInputError({"q": question}, state=f"state of {params.get('message')}")
            await self.note("requestState", call.get("requestState"))
            return responses["q"]
        key = f"ask-{len(self.seen)}-{id(call)}"
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.asked[key] = future
        peer.send({"jsonrpc": "2.0", "id": key, "method": method, "params": params})
        reply = await future
        if "error" in reply:
            raise RefusalError(reply["error"]["code"], reply["error"]["message"])
        return reply["result"]

    async def _asked(self, peer: Peer, method: str, params: Json, call: Json) -> Json:
        try:
            reply = await self.ask(peer, method, params, call)
        except NeedsInputError as needs:
            return needs.result
        return {**text(str(reply)), "structuredContent": {"asked": params, "reply": reply}}

    async def do_echo(self, arguments: Json, call: Json, peer: Peer) -> Json:
        return {**text("echo"), "structuredContent": arguments, "_meta": {"own": call.get("_meta")}}

    async def do_raw(self, arguments: Json, call: Json, peer: Peer) -> Json:
        return arguments["result"]

    async def do_fail(self, arguments: Json, call: Json, peer: Peer) -> Json:
        if "words" in arguments:
            mutter(arguments["words"])
        raise RefusalError(arguments["code"], arguments["message"], arguments.get("data"))

    async def do_hang(self, arguments: Json, call: Json, peer: Peer) -> Json:
        await self.note("hanging", arguments)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not arguments.get("stubborn"):
                raise
            await asyncio.Event().wait()
        return {}

    async def do_die(self, arguments: Json, call: Json, peer: Peer) -> Json:
        mutter(arguments.get("words", "I am about to die"))
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    async def do_ask(self, arguments: Json, call: Json, peer: Peer) -> Json:
        params = {"message": arguments.get("message", "?"), "requestedSchema": {"type": "object"}}
        if peer.stateless or not arguments.get("together"):
            return await self._asked(peer, "elicitation/create", params, call)
        await self._gather(arguments["together"])
        return await self._asked(peer, "elicitation/create", params, call)

    async def do_sample(self, arguments: Json, call: Json, peer: Peer) -> Json:
        params: Json = {"messages": [], "maxTokens": 5, "x-unknown": 1.0}
        return await self._asked(peer, "sampling/createMessage", params, call)

    async def do_roots(self, arguments: Json, call: Json, peer: Peer) -> Json:
        return await self._asked(peer, "roots/list", {}, call)

    async def _gather(self, count: int) -> None:
        self.together += 1
        await self.note("gathered")
        await self.wait_seen("gathered", count)

    async def do_together(self, arguments: Json, call: Json, peer: Peer) -> Json:
        """Answer only once `count` calls are in flight at the same time."""
        await self._gather(arguments["count"])
        return text("together")

    async def do_progress(self, arguments: Json, call: Json, peer: Peer) -> Json:
        token = token_of(call)
        for value in arguments["values"]:
            body = {"progressToken": token, "progress": value, "total": arguments.get("total")}
            peer.notify("notifications/progress", {**body, "message": f"at {value}"})
        return text("done")

    async def do_log(self, arguments: Json, call: Json, peer: Peer) -> Json:
        for level in arguments["levels"]:
            peer.notify("notifications/message", {"level": level, "data": {"n": 1.0}})
        return text("logged")

    async def do_big(self, arguments: Json, call: Json, peer: Peer) -> Json:
        return text("x" * arguments["size"])

    async def do_add(self, arguments: Json, call: Json, peer: Peer) -> Json:
        """Change the list of tools and say so."""
        self.tools.append({"name": arguments["name"], "inputSchema": {"type": "object"}})
        self.announce("notifications/tools/list_changed")
        return text("added")

    async def do_touch(self, arguments: Json, call: Json, peer: Peer) -> Json:
        self.announce("notifications/resources/updated", {"uri": WATCHED})
        return text("touched")

    async def do_flood(self, arguments: Json, call: Json, peer: Peer) -> Json:
        token = token_of(call)
        for number in range(arguments["count"]):
            peer.notify("notifications/progress", {"progressToken": token, "progress": number})
            peer.notify("notifications/message", {"level": "debug", "data": number})
        return text("flooded")

    async def do_spawn(self, arguments: Json, call: Json, peer: Peer) -> Json:
        """Leave a process behind: in a session of its own if `away`, an orphan if `twice`."""
        code = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
        if arguments.get("twice"):
            code = f"import os; os.fork() and os._exit(0); os.setsid()\n{code}"
        process = subprocess.Popen(  # noqa: ASYNC220 - left alone, never waited for
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=bool(arguments.get("away")),
        )
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        return {**text("spawned"), "structuredContent": {"pids": [os.getpid(), pid]}}

    async def do_garbage(self, arguments: Json, call: Json, peer: Peer) -> Json:
        for line in arguments["lines"]:
            peer.send(line)
        return text("after garbage")

    async def do_odd(self, arguments: Json, call: Json, peer: Peer) -> Json:
        """Say messages that are JSON, but wrong in every other way."""
        for message in arguments["messages"]:
            peer.send(message)
        return text("after odd messages")

    async def do_heard(self, arguments: Json, call: Json, peer: Peer) -> Json:
        """Answer once something was seen."""
        values = await self.wait_seen(arguments["kind"], arguments.get("count", 1))
        return {**text(str(values)), "structuredContent": {"values": values}}

    async def do_mute(self, arguments: Json, call: Json, peer: Peer) -> Json:
        """Close standard output, and live on."""
        os.close(1)
        await asyncio.Event().wait()
        return {}

    async def do_answer(self, arguments: Json, call: Json, peer: Peer) -> Json:
        return text(f"pid {os.getpid()}")


class NeedsInputError(Exception):
    """The answer of the stateless era to a call that needs to ask something."""

    def __init__(self, questions: Json, *, state: str) -> None:
        super().__init__(state)
        self.result: Json = {
            "resultType": "input_required",
            "inputRequests": questions,
            "requestState": state,
        }


METHODS: dict[str, Callable[[Misbehaviour, Json], Json]] = {
    "initialize": Misbehaviour.initialize,
    "server/discover": Misbehaviour.discover,
    "ping": Misbehaviour.nothing,
    "logging/setLevel": Misbehaviour.nothing,
    "tools/list": Misbehaviour.list_tools,
    "resources/list": Misbehaviour.list_resources,
    "resources/templates/list": Misbehaviour.list_templates,
    "prompts/list": Misbehaviour.list_prompts,
    "resources/read": Misbehaviour.read,
    "prompts/get": Misbehaviour.get_prompt,
    "completion/complete": Misbehaviour.complete,
    "resources/subscribe": Misbehaviour.subscribe,
    "resources/unsubscribe": Misbehaviour.unsubscribe,
}

Do = Callable[[Json, Json, Peer], Awaitable[Json]]


def token_of(call: Json) -> Any:
    return call.get("_meta", NOTHING).get("progressToken")


def text(content: str) -> Json:
    return {"content": [{"type": "text", "text": content}]}


def describe(number: int) -> Json:
    """Return a definition of the size that real tools have."""
    return {
        "name": f"tool-{number:04}",
        "description": f"Creates widget number {number} in a project and returns its address.",
        "inputSchema": {
            "type": "object",
            "properties": {"title": {"type": "string", "description": "What it is called."}},
        },
    }
