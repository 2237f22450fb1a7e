"""What is written about every call: intent before, outcome after."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from host.domain.errors import UpstreamTimeoutError
from host.domain.jsonrpc import Json, RpcError
from host.gateway.exchange import Exchange


class Recordable(Protocol):
    """What a record needs to know of a call's target."""

    @property
    def name(self) -> str:
        """What the client called it."""
        ...

    @property
    def params(self) -> Json:
        """The parameters."""
        ...


@dataclass(slots=True)
class Record:
    """One call being recorded."""

    sink: Callable[[Json], None]
    row: Json
    durable: bool = False
    started: float = field(default_factory=time.monotonic)

    async def commit_intent(self) -> None:
        """Make the intent durable before the call may change something."""
        self.sink({**self.row, "kind": "intent"})

    def succeed(self, result: Json) -> None:
        """Record a result."""
        self._finish("tool_error" if result.get("isError") else "ok", result)

    def fail(self, error: BaseException) -> None:
        """Record a failure, a time-out or a cancellation."""
        if isinstance(error, asyncio.CancelledError):
            self._finish("cancelled", None)
        elif isinstance(error, UpstreamTimeoutError):
            self._finish("timeout", str(error))
        else:
            self._finish("error", error.to_wire() if isinstance(error, RpcError) else str(error))

    def _finish(self, outcome: str, detail: object) -> None:
        seconds = time.monotonic() - self.started
        self.sink({**self.row, "outcome": outcome, "detail": detail, "seconds": seconds})


class Recorder:
    """Begins records."""

    def __init__(self, sink: Callable[[Json], None]) -> None:
        self._sink = sink

    def begin(self, exchange: Exchange, method: str, target: Recordable) -> Record:
        """Begin the record of a call."""
        row: Json = {
            "principal": exchange.session.principal.id,
            "session": exchange.session.id,
            "correlation": exchange.correlation_id,
            "method": method,
            "name": target.name,
            "params": target.params,
        }
        return Record(self._sink, row)
