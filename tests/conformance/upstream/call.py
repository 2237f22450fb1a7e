"""One request to the upstream's tools, prompts or resources, and how it asks the client for input.

`Call.ask` reads as a question in both eras: over the handshake it sends the requests and waits;
statelessly it raises `InputNeeded`, which the server turns into an `input_required` result, and
finds the answers when the client retries.
"""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
from mcp import MCPError
from mcp_types import INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY

from tests.conformance.upstream.hub import JSON, LEVELS, Context, Hub, is_modern

_KEY = secrets.token_bytes(32)
_NEEDED = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


class InputNeeded(Exception):  # noqa: N818 - not a failure: the call continues with a retry
    """A stateless call cannot go on before the client has answered `requests`."""

    def __init__(self, requests: JSON, state: str | None) -> None:
        super().__init__(", ".join(requests))
        self.requests = requests
        self.state = state


class ToolError(Exception):
    """A tool failed; its text becomes a result with `isError`."""


def seal(value: JSON) -> str:
    """Return `value` as a signed opaque token for `requestState`."""
    body = urlsafe_b64encode(json.dumps(value).encode()).decode()
    return f"{body}.{hmac.new(_KEY, body.encode(), hashlib.sha256).hexdigest()}"


def unseal(token: str, *, name: str) -> JSON:
    """Return what `seal` put into `token`, refusing a changed one or another tool's."""
    body, _, signature = token.partition(".")
    expected = hmac.new(_KEY, body.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise MCPError(INVALID_PARAMS, "requestState failed its integrity check")
    value = cast("JSON", json.loads(urlsafe_b64decode(body)))
    if value["name"] != name:
        raise MCPError(INVALID_PARAMS, "requestState belongs to another request")
    return value


def missing_capability(needed: JSON) -> MCPError:
    """Return the error for a request that needs what the client did not declare."""
    return MCPError(
        MISSING_REQUIRED_CLIENT_CAPABILITY,
        "Missing required client capability",
        {"requiredCapabilities": needed},
    )


@dataclass
class Call:
    """One request as a tool, prompt or resource sees it.

    Args:
        ctx: The SDK's context.
        name: Tool or prompt name, or resource URI.
        arguments: The arguments sent.
        responses: `inputResponses` of a retry, by key.
        state: `requestState` of a retry.
        sealed: Whether the rounds travel in a signed `requestState`.
    """

    ctx: Context
    name: str
    arguments: JSON
    responses: JSON
    state: str | None = None
    sealed: bool = False
    known: JSON = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.sealed and self.state is not None:
            self.known = unseal(self.state, name=self.name)["answers"]

    @property
    def hub(self) -> Hub:
        """The state shared by all connections."""
        return self.ctx.lifespan_context

    def capabilities(self) -> JSON:
        """Return what the client declared, as sent."""
        declared = self.ctx.session.client_capabilities
        return {} if declared is None else declared.model_dump(by_alias=True, exclude_none=True)

    async def ask(self, requests: Mapping[str, JSON]) -> JSON:
        """Return the client's answers by key, asking for all of them at once.

        Raises:
            InputNeeded: The caller is stateless and has not answered yet.
            ToolError: The caller, over the handshake, cannot answer such requests.
        """
        needed = {_NEEDED[request["method"]] for request in requests.values()}
        if absent := sorted(needed - set(self.capabilities())):
            if is_modern(self.ctx):
                raise missing_capability({name: {} for name in absent})
            raise ToolError(f"The client does not support {', '.join(absent)}.")
        if is_modern(self.ctx):
            return self._answers(requests)
        answers: JSON = {}

        async def one(key: str, request: JSON) -> None:
            answers[key] = await self.send(request["method"], request["params"])

        async with anyio.create_task_group() as group:
            for key, request in requests.items():
                group.start_soon(one, key, request)
        return answers

    def _answers(self, requests: Mapping[str, JSON]) -> JSON:
        given = {key: self.responses[key] for key in requests if key in self.responses}
        self.known = {**self.known, **given}
        if missing := {key: value for key, value in requests.items() if key not in self.known}:
            state = seal({"name": self.name, "answers": self.known}) if self.sealed else None
            raise InputNeeded(missing, state)
        return {key: self.known[key] for key in requests}

    async def send(self, method: str, params: JSON) -> JSON:
        """Send one request to a handshake client, on the stream of this call."""
        return await self.ctx.session._request_outbound.send_raw_request(method, params)

    async def log(self, text: str, *, level: str = "info") -> None:
        """Send a log message on the stream of this call, if the client wants that level."""
        if not is_modern(self.ctx):
            wanted = self.hub.session(self.ctx).level
            if LEVELS.index(level) < LEVELS.index(wanted):
                return
        send = cast("Any", self.ctx.session).send_log_message
        await cast(
            "Awaitable[None]",
            send(level=level, data=text, logger="upstream", related_request_id=self.ctx.request_id),
        )

    async def progress(self, value: float, total: float, message: str | None = None) -> None:
        """Report progress to a client that asked for it."""
        await self.ctx.session.report_progress(value, total, message)


def elicitation(message: str, properties: JSON, *, required: list[str] | None = None) -> JSON:
    """Return a form elicitation request."""
    schema: JSON = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return {
        "method": "elicitation/create",
        "params": {"mode": "form", "message": message, "requestedSchema": schema},
    }


def sampling(text: str, *, tokens: int = 100) -> JSON:
    """Return a sampling request with one user message."""
    message = {"role": "user", "content": {"type": "text", "text": text}}
    return {
        "method": "sampling/createMessage",
        "params": {"messages": [message], "maxTokens": tokens},
    }


def content_of(answer: JSON) -> JSON:
    """Return what the user filled in; empty when the user declined."""
    return answer.get("content") or {}


ROOTS: JSON = {"method": "roots/list", "params": {}}
"""A request for the client's roots."""
