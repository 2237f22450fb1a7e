"""What is written about every call: an intent before it, an outcome after it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from host.audit.journal import Journal
from host.audit.record import Decision, Intent, Outcome, OutcomeKind, new_call_id
from host.domain.errors import (
    ApprovalPendingError,
    DeniedError,
    HostError,
    OutcomeUnknownError,
    PluginTimeoutError,
    PolicyError,
    UpstreamTimeoutError,
)
from host.domain.fixed import fixed
from host.domain.jsonrpc import Json, RpcError
from host.domain.protocol import object_member
from host.gateway.exchange import Exchange
from host.secrets.declared import declares_secrets, find_declared

_SCHEMAS = 10_000
"""Definitions of which it is remembered whether they declare secrets."""


class Recordable(Protocol):
    """What a record needs to know of a call's target."""

    @property
    def name(self) -> str:
        """What the client called it."""
        ...

    @property
    def original(self) -> str:
        """What the server calls it."""
        ...

    @property
    def upstream(self) -> str:
        """The server's name."""
        ...

    @property
    def params(self) -> Json:
        """The parameters."""
        ...

    @property
    def definition(self) -> Json:
        """How it is listed."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of server and tool."""
        ...

    @property
    def digest(self) -> str | None:
        """Digest of the definition."""
        ...


@fixed()
class Judged:
    """What the policy said of a call.

    Attributes:
        action: Allowed, asked about, or denied.
        rule: The rule that decided; None if none did.
        labels: The labels that rules went by.
        approval: The approval or grant that let it pass.
    """

    action: Decision | None
    rule: str | None = None
    labels: Iterable[str] = ()
    approval: str | None = None


class Record:
    """One call being recorded."""

    def __init__(self, journal: Journal, intent: Intent) -> None:
        self._journal = journal
        self._intent = intent
        self._shown = journal.redactor.secrets_in(intent.arguments)
        self._started = time.perf_counter_ns()

    @property
    def call_id(self) -> str:
        """The call's id in the record."""
        return self._intent.call_id

    async def begin(self) -> None:
        """Write the intent; on disk before a call that may change something is made.

        Raises:
            JournalError: It could not be written, so the call must not be made.
        """
        if self._intent.changes:
            await self._journal.append_durable(self._intent)
        else:
            self._journal.append(self._intent)

    def refuse(self, error: BaseException) -> OutcomeKind:
        """Write that the call was not made, and return how it counts."""
        self._journal.append(self._intent)
        return self.fail(error)

    def succeed(self, result: Json) -> None:
        """Record a result, before the reply is sent."""
        self._finish("tool_error" if result.get("isError") is True else "ok", result=result)

    def fail(self, error: BaseException) -> OutcomeKind:
        """Record a failure, a time-out or a cancellation, and return which it was."""
        kind, code = _kind_of(error), None
        if kind == "cancelled":
            message = None
        elif isinstance(error, RpcError):
            code, message = error.code, error.message
        else:
            message = str(error) if isinstance(error, HostError) else type(error).__name__
        self._finish(kind, code=code, message=message)
        return kind

    def _finish(
        self,
        kind: OutcomeKind,
        *,
        result: Json | None = None,
        code: int | None = None,
        message: str | None = None,
    ) -> None:
        self._journal.append(
            Outcome(
                call_id=self._intent.call_id,
                principal=self._intent.principal,
                outcome=kind,
                duration=(time.perf_counter_ns() - self._started) // 1000,
                error_code=code,
                error_message=message,
                result=result,
                hidden=self._intent.hidden | self._shown,
            )
        )


def _kind_of(error: BaseException) -> OutcomeKind:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, UpstreamTimeoutError | PluginTimeoutError):
        return "timeout"
    if isinstance(error, DeniedError | PolicyError):
        return "denied"
    if isinstance(error, ApprovalPendingError | OutcomeUnknownError):
        return "pending"
    return "error"


class Recorder:
    """Begins records in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._declaring: OrderedDict[str, bool] = OrderedDict()

    def open(
        self, exchange: Exchange, method: str, target: Recordable, judged: Judged | None = None
    ) -> Record:
        """Return the record of a call that is about to be made, or refused.

        Args:
            exchange: The request.
            method: Its method.
            target: Where it goes.
            judged: What the policy said of it; None where none was asked.
        """
        annotations = object_member(target.definition, "annotations")
        arguments = target.params.get("arguments") if method == "tools/call" else target.params
        labels = target.labels if judged is None else judged.labels
        session = exchange.session
        intent = Intent(
            call_id=new_call_id(),
            principal=session.principal,
            face=exchange.face,
            method=method,
            name=target.name,
            upstream=target.upstream,
            original=target.original,
            definition=target.digest,
            arguments=arguments,
            decision=None if judged is None else judged.action,
            rule=None if judged is None else judged.rule,
            approval=None if judged is None else judged.approval,
            changes=method == "tools/call" and _may_change(annotations, judged),
            labels=tuple(sorted(labels)),
            annotations=annotations or None,
            session=session.id,
            era=exchange.version,
            correlation=exchange.correlation_id,
            parent=exchange.parent,
            trace_id=exchange.trace_id,
            span_id=exchange.span_id,
            hidden=self._declared(target, arguments),
        )
        return Record(self._journal, intent)

    def _declared(self, target: Recordable, arguments: object) -> frozenset[str]:
        """Return the arguments that the tool's own schema says are secret."""
        schema = target.definition.get("inputSchema")
        key = target.digest
        if schema is None or key is None:
            return frozenset()
        declares = self._declaring.get(key)
        if declares is None:
            declares = self._declaring[key] = declares_secrets(schema)
            if len(self._declaring) > _SCHEMAS:
                self._declaring.popitem(last=False)
        return frozenset(find_declared(schema, arguments)) if declares else frozenset()


def _may_change(annotations: Json, judged: Judged | None) -> bool:
    """Whether the intent has to be on disk first: unless the tool is known to read only.

    A server's own word is enough where no policy was asked, since it costs only the waiting.
    """
    if judged is not None and "reads" in judged.labels:
        return False
    return annotations.get("readOnlyHint") is not True
