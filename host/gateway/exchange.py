"""Who is asking and how to answer back: one client session, and one request being served in it."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from host.audit.record import Face
from host.domain.errors import HostError
from host.domain.jsonrpc import METHOD_NOT_FOUND, Json, RequestId, RpcError, as_object
from host.domain.principal import Principal
from host.domain.protocol import (
    LATEST_HANDSHAKE,
    LOG_LEVELS,
    META_CLIENT_CAPABILITIES,
    META_CLIENT_INFO,
    META_LOG_LEVEL,
    META_VERSION,
    meta_of,
)
from host.taint.session import SessionTaint
from host.telemetry.context import read_context

if TYPE_CHECKING:
    from host.gateway.provider import ToolProvider
    from host.telemetry.tracing import CallSpan


CANCELLED_BY_CLIENT = "cancelled by the client"
"""What a cancellation says that the client asked for; one without it means that it was lost."""


@dataclass(eq=False)
class Session(ABC):
    """The span over which grants and taint last: an MCP session, or a stateless client's visits.

    Attributes:
        principal: Who acts, from the credential.
        face: How the client came in.
        id: Ours to choose; names the session in records.
        folder: The folder the client works in, where the bridge told us.
        capabilities: What the client declared.
        client_info: What the client says it is; for display only.
        log_level: Lowest severity of log messages it wants; None wants none.
    """

    principal: Principal
    face: Face
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    folder: Path | None = None
    version: str = LATEST_HANDSHAKE
    capabilities: Json = field(default_factory=dict[str, Any])
    client_info: Json = field(default_factory=dict[str, Any])
    log_level: str | None = None

    @property
    def stateless(self) -> bool:
        """Whether its client speaks the stateless era."""
        return False

    @abstractmethod
    def notify(self, method: str, params: Json | None) -> None:
        """Queue a notification that belongs to no request."""

    @abstractmethod
    async def ask(self, method: str, params: Json | None) -> Json:
        """Ask the client something that belongs to no request, and wait for the answer.

        Raises:
            RpcError: It refused, or cannot be asked.
        """

    def wants_log(self, level: object) -> bool:
        """Whether a log message of some severity is to reach this client."""
        return passes_level(self.log_level, level)


class Exchange(ABC):
    """One request of a client, from its arrival to its answer.

    Attributes:
        session: The session it came in.
        id: The client's own id for it.
        progress_token: What progress notifications must carry, where the client wants any.
        trace: The trace context that it came with, in its `_meta` or in HTTP headers.
        trace_id: The trace in which it is recorded.
        span_id: The host's span in it, or the caller's where the host exports none.
        span: The host's span, where spans are exported.
        agent: The agent on whose behalf it is made.
        call_id: The call that it became, in the record; None before that.
        parent: The call or run that made it.
        depth: How many calls of what the host itself runs are around it.
        taint: What the run that makes it has met; None means its principal.
        policies: Policies of the agents on whose behalf it is made; they can only tighten.
        servers: Servers that only the agent on whose behalf it is made sees, by name.
        reveal: Handles in its arguments and the secrets that a server gets in their place.
        refused: Why its call was not made, where its result only says so in words.
    """

    def __init__(
        self,
        session: Session,
        request_id: RequestId | None,
        params: Json | None = None,
        *,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        meta = meta_of(params)
        self.session = session
        self.id = request_id
        self.meta = meta
        self.progress_token: Any = meta.get("progressToken")
        self.correlation_id = secrets.token_hex(8)
        self.trace = read_context(meta, http_headers or {})
        self.trace_id, self.span_id = self.trace.trace_id, self.trace.span_id
        self.span: CallSpan | None = None
        self.agent: str | None = None
        self.call_id: str | None = None
        self.parent: str | None = None
        self.depth = 0
        self.taint: SessionTaint | None = None
        self.policies: tuple[Path, ...] = ()
        self.servers: Mapping[str, ToolProvider] = {}
        self.reveal: dict[str, str] = {}
        self.refused: HostError | None = None

    @property
    def face(self) -> Face:
        """Where it came in."""
        return self.session.face

    def follow(self, first: "Exchange") -> None:
        """Stand for the same request as another exchange."""
        self.trace, self.span = first.trace, first.span
        self.trace_id, self.span_id = first.trace_id, first.span_id
        self.correlation_id = first.correlation_id
        self.agent, self.parent, self.depth = first.agent, first.parent, first.depth
        self.call_id = first.call_id
        self.taint, self.policies = first.taint, first.policies

    @property
    def stateless(self) -> bool:
        """Whether the request came with the stateless era's envelope."""
        return META_VERSION in self.meta

    @property
    def version(self) -> str:
        """The protocol revision in force."""
        return self.meta.get(META_VERSION) or self.session.version

    @property
    def capabilities(self) -> Json:
        """What the client can do, as declared for this request or for its session."""
        declared = as_object(self.meta.get(META_CLIENT_CAPABILITIES))
        return self.session.capabilities if declared is None else declared

    @property
    def client_info(self) -> Json:
        """What the client says it is."""
        info = as_object(self.meta.get(META_CLIENT_INFO))
        return self.session.client_info if info is None else info

    @property
    def log_level(self) -> str | None:
        """Lowest severity of log messages wanted with this request."""
        return self.meta.get(META_LOG_LEVEL) if self.stateless else self.session.log_level

    @abstractmethod
    def notify(self, method: str, params: Json | None) -> None:
        """Queue a notification that belongs to this request; it goes out before the answer."""

    @abstractmethod
    async def ask(self, method: str, params: Json | None) -> Json:
        """Ask the client something that belongs to this request, and wait for the answer.

        Raises:
            RpcError: It refused, or cannot be asked.
        """

    def waits(self, approval: str, *, inside: str | None = None) -> None:  # noqa: B027 - most need not know
        """Hear that it waits for an approval.

        Args:
            approval: Its id.
            inside: What was begun while it is served and waits: a run's id, or empty for anything
                else; None where it waits itself.
        """

    def begins(self, run: str) -> None:  # noqa: B027 - the same
        """Hear that a run has begun whose end is the result.

        Args:
            run: Its id.
        """

    def will_wait(self, error: BaseException) -> bool:
        """Whether a refusal is not the end of the call: it is made again until it is answered.

        The record has such a call once, when it is made or refused in the end.
        """
        return False

    def goes_on(self) -> None:  # noqa: B027 - the same
        """Hear that nothing is waited for any more: the call is being made."""

    async def confirm(self) -> None:  # noqa: B027 - the same
        """Return if the call may still be made, now that what it waited for is there.

        Raises:
            HostError: It may not.
        """

    def progress(self, params: Json) -> None:
        """Pass on a progress notification under the client's own token."""
        if self.progress_token is not None:
            body = {**params, "progressToken": self.progress_token}
            self.notify("notifications/progress", body)

    def log(self, params: Json) -> None:
        """Pass on a log message, if the client wants its severity."""
        if passes_level(self.log_level, params.get("level")):
            self.notify("notifications/message", params)


def passes_level(wanted: str | None, level: object) -> bool:
    """Whether a message of severity `level` reaches somebody who asked for `wanted` and above."""
    if wanted not in LOG_LEVELS or level not in LOG_LEVELS:
        return False
    return LOG_LEVELS.index(str(level)) >= LOG_LEVELS.index(wanted)


def lowest_level(levels: Iterable[str | None]) -> str | None:
    """Return the most talkative of some log levels; None where nobody wants any."""
    known = [level for level in levels if level in LOG_LEVELS]
    return min(known, key=LOG_LEVELS.index) if known else None


class QuietSession(Session):
    """A session with nobody behind it: the command line and the host's own look-ups."""

    @override
    def notify(self, method: str, params: Json | None) -> None:
        """Drop the notification: nobody listens."""

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        """Refuse: nobody can answer."""
        raise RpcError(METHOD_NOT_FOUND, f"Nobody is there to answer {method}.")


class QuietExchange(Exchange):
    """A request of the host itself."""

    @override
    def notify(self, method: str, params: Json | None) -> None:
        """Drop the notification: nobody listens."""

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        """Refuse: nobody can answer."""
        return await self.session.ask(method, params)


class InnerExchange(Exchange):
    """A call that an agent or a plugin makes while it serves somebody's request.

    It acts for the same principal in the same session, and takes the same path as the request did.

    Args:
        outer: The request being served.
        face: What makes the call.
        agent: The agent that makes it; None keeps the outer one.
        parent: The run that makes it; None means the outer call.
        on_progress: Takes the progress of the call; None drops it.
    """

    def __init__(
        self,
        outer: Exchange,
        face: Face,
        *,
        agent: str | None = None,
        parent: str | None = None,
        on_progress: Callable[[Json], None] | None = None,
    ) -> None:
        super().__init__(outer.session, None)
        self.follow(outer)
        self._outer, self._on_progress = outer, on_progress
        self._face: Face = face
        self.agent = agent or outer.agent
        self.parent = parent or outer.call_id
        self.call_id = None
        self.depth = outer.depth + 1
        if on_progress is not None:
            self.progress_token = self.correlation_id

    @property
    @override
    def face(self) -> Face:
        return self._face

    @property
    @override
    def capabilities(self) -> Json:
        return self._outer.capabilities

    @property
    @override
    def client_info(self) -> Json:
        return self._outer.client_info

    @property
    @override
    def log_level(self) -> str | None:
        return self._outer.log_level

    @override
    def notify(self, method: str, params: Json | None) -> None:
        self._outer.notify(method, params)

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        return await self._outer.ask(method, params)

    @override
    def waits(self, approval: str, *, inside: str | None = None) -> None:
        self._outer.waits(approval, inside="")

    @override
    def goes_on(self) -> None:
        self._outer.goes_on()

    @override
    async def confirm(self) -> None:
        await self._outer.confirm()

    @override
    def progress(self, params: Json) -> None:
        if self._on_progress is not None:
            self._on_progress(params)
