"""The error tree of the host; every error a user can meet is one of these.

    HostError                     anything the host says to a user
    ├── ConfigError               host.yaml, agent, workflow or policy file (file, line, field)
    │   ├── InvalidConfigError        several faults of one reading, each with its place
    │   └── MissingCredentialError    a file asks for a credential that is not set
    ├── NotFoundError             a look-up failed; lists the nearest names
    ├── AccessError               not authenticated, or authenticated without the right
    │   ├── EditError                 what an approver would send instead cannot be sent
    │   ├── InvalidTokenError         the token is not one that this host accepts
    │   └── MissingScopeError         it is, but is not good for this
    ├── FetchError                a web address is off limits, or did not answer usefully
    ├── StoreError                PostgreSQL could not be started, reached or migrated
    ├── JournalError              a record could not be written
    ├── MemoryRecordError         a memory record cannot be written as asked
    ├── EmbedderError             a service or package that makes vectors failed
    ├── ModelError                a model or its provider failed; `fault` says how
    │   └── ModelOutputError          its reply is not what the schema asks for
    ├── BudgetExceededError       a run, a day or a user may spend no more on models
    ├── RunError                  an agent's run could not be started, or did not end well
    │   ├── StaleRunError             somebody else has taken it up
    │   ├── RunStateError             what was asked does not fit how far it is
    │   ├── RunLimitError             it reached a limit of steps, tokens, cost, time or depth
    │   └── OutputError               its answer never met the schema
    ├── DaemonError               the daemon could not be started, reached or stopped
    │   └── DaemonRunningError    there is one already, which may be ending
    ├── UpstreamError             a tool server failed
    │   ├── UpstreamUnavailableError  it is not running or not reachable
    │   ├── UpstreamTimeoutError      it did not answer in time
    │   ├── UpstreamProtocolError     it answered with something that is not MCP
    │   └── UpstreamAuthError         it does not let the host in, or its login service misbehaves
    │       └── LoginRequiredError    a person has to log in first
    ├── PolicyError               a policy could not be read or evaluated
    │   └── TaintError                what sessions have met could not be read or kept
    ├── DeniedError               a rule or a person said no
    │   └── QuarantinedError          a definition waits for somebody to look at it
    ├── ApprovalPendingError      somebody has to say yes first
    ├── OutcomeUnknownError       an approved call was cut off; nobody knows if it took effect
    ├── ScaffoldError             files of a new server, plugin, agent or policy cannot be made
    └── SandboxError              a plugin could not be compiled, confined or run
        ├── ConfinementError          this machine offers less confinement than is required
        ├── PluginLoadError           it was rejected by the compiler, or failed while it loaded
        ├── PluginFailedError         its code raised an exception during a call
        ├── PluginTimeoutError        it did not answer in time and was ended
        ├── PluginDiedError           its process ended in the middle of a call
        ├── PluginProtocolError       it sent forged or oversized messages and was ended
        └── PluginRejectedError       its source holds what a plugin may not contain

A message says what happened, to which named thing, and what to do next.
"""

# pyright: reportUnusedImport=false

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from typing_extensions import override

from host.domain.host_error import HostError
from host.domain.names import nearest_names
from host.domain.plugin_error import (  # noqa: F401 - the lower branch of the tree above
    ConfinementError,
    PluginDiedError,
    PluginFailedError,
    PluginLoadError,
    PluginProtocolError,
    PluginRejectedError,
    PluginTimeoutError,
    SandboxError,
)
from host.domain.upstream_error import (  # noqa: F401 - another of its branches
    LoginRequiredError,
    UpstreamAuthError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)


class ConfigError(HostError):
    """A configuration file is unreadable or says something that is not allowed.

    Args:
        message: What was found and what was expected.
        file: The file that says it, if it came from a file.
        line: Its line, counted from 1.
        field: Its dotted path inside the file, such as `servers.github.command`.
        next_step: What to write instead.
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        line: int | None = None,
        field: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.file = file
        self.line = line
        self.field = field

    @override
    def __str__(self) -> str:
        place = (
            ""
            if self.file is None
            else f"{self.file}:{self.line}: "
            if self.line
            else f"{self.file}: "
        )
        field = f"{self.field}: " if self.field else ""
        return f"{place}{field}{super().__str__()}"


class InvalidConfigError(ConfigError):
    """Configuration that was read has faults, and all of them are named.

    Args:
        problems: The faults, in the order of the file; at least one.
    """

    def __init__(self, problems: Iterable[ConfigError]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(first.message, file=first.file, line=first.line, field=first.field)

    @override
    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        return f"The configuration has {len(self.problems)} faults:\n{lines}"


class MissingCredentialError(ConfigError):
    """A file asks for a credential that is not set; it may be set at any time."""


class NotFoundError(HostError):
    """A name was looked up and is not there.

    Args:
        kind: What was looked for, such as `tool`.
        name: The name as given.
        known: The names that exist; the nearest are listed in the message.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str] = (), *, next_step: str | None = None
    ) -> None:
        near = nearest_names(name, known)
        hint = f"Did you mean {', '.join(near)}?" if near else None
        super().__init__(f"There is no {kind} named {name!r}.", next_step=next_step or hint)
        self.kind = kind
        self.name = name
        self.near = near


class AccessError(HostError):
    """The caller is not authenticated, or lacks the right."""


class EditError(AccessError):
    """Arguments that an approver puts in place of the caller's cannot be sent."""


class InvalidTokenError(AccessError):
    """A token is forged, expired, for somebody else, or from somebody else."""


class MissingScopeError(AccessError):
    """A token is good, but lacks rights; `scopes` names what it would need."""

    def __init__(self, message: str, *, scopes: Iterable[str]) -> None:
        super().__init__(message)
        self.scopes = tuple(scopes)


class FetchError(HostError):
    """A web address is off limits, cannot be reached, or did not answer usefully."""


class StoreError(HostError):
    """PostgreSQL could not be started, reached or migrated."""


class JournalError(HostError):
    """A record could not be written to the local journal."""


class MemoryRecordError(HostError):
    """A memory record cannot be written as asked: too long, twice, or not the caller's."""


class EmbedderError(HostError):
    """A service or package that turns texts into vectors failed."""


Fault = Literal[
    "auth",
    "not_found",
    "rate_limit",
    "quota",
    "overloaded",
    "server",
    "timeout",
    "connection",
    "cut",
    "rejected",
    "context",
    "filtered",
    "length",
    "malformed",
]
"""How a model's provider failed; the same words for all providers."""

TRANSIENT_FAULTS: frozenset[Fault] = frozenset(
    ("rate_limit", "overloaded", "server", "timeout", "connection", "cut", "malformed")
)
"""Faults after which the same request may succeed."""


class ModelError(HostError):
    """A model or its provider failed.

    Args:
        message: The model and what happened.
        model: Its name, `provider:name`.
        fault: The kind of failure.
        retry_after: Seconds after which the provider wants to be asked again, if it said.
        next_step: What the reader can do.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str,
        fault: Fault,
        retry_after: float | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.model = model
        self.fault: Fault = fault
        self.retry_after = retry_after

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.fault in TRANSIENT_FAULTS


class ModelOutputError(ModelError):
    """A model's reply is not what the schema asks for; `feedback` tells the model."""

    def __init__(self, message: str, *, model: str, feedback: str) -> None:
        super().__init__(message, model=model, fault="malformed")
        self.feedback = feedback


class BudgetExceededError(HostError):
    """A run, a day or a user may spend no more on models."""


class RunError(HostError):
    """An agent's run could not be started, or did not end well."""


class StaleRunError(RunError):
    """A run was taken up by somebody else; whoever gets this stops at once."""


class RunStateError(RunError):
    """What was asked of a run does not fit how far it is."""


class RunLimitError(RunError):
    """A run reached a limit of steps, tokens, cost, time or depth."""


class OutputError(RunError):
    """The model's answer never met the schema that was asked for."""


class DaemonError(HostError):
    """The daemon could not be started, reached or stopped."""


class DaemonRunningError(DaemonError):
    """Another daemon of the same data folder runs, or is ending."""


class PolicyError(HostError):
    """A policy could not be read or evaluated; nothing runs until it can.

    Args:
        message: What is wrong, with file and line.
        problems: The faults of the files, each with its place; empty if no file has any.
        next_step: What to do about it.
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        problems: Iterable[ConfigError] = (),
        next_step: str | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.problems = tuple(problems)


class TaintError(PolicyError):
    """What sessions have met could not be read or kept; nothing runs until it can."""


class DeniedError(HostError):
    """A rule or a person refused the call."""


class QuarantinedError(DeniedError):
    """A definition is new, changed or rejected, so that it cannot be used."""


class ApprovalPendingError(HostError):
    """The call waits for somebody's approval.

    Args:
        approval: Its id.
        name: What is to be called.
    """

    def __init__(self, approval: str, name: str) -> None:
        super().__init__(
            f"The call of {name} waits for an approval, {approval}.",
            next_step=f"A person has to answer it in a terminal, with `host approvals approve "
            f"{approval}` or `host approvals deny {approval}`; the same call made again then goes "
            "on from there.",
        )
        self.approval = approval


class OutcomeUnknownError(HostError):
    """An approved call was cut off between its start and its end, and is not made again.

    Args:
        approval: Its approval's id.
        name: What was called.
    """

    def __init__(self, approval: str, name: str) -> None:
        super().__init__(
            f"The call of {name}, approved as {approval}, was cut off; whether it took effect is "
            "not known.",
            next_step="Look before you call again: that asks for another approval. `host audit "
            "search --outcome unknown` shows the record.",
        )
        self.approval = approval


class ScaffoldError(HostError):
    """The files of a new server, plugin, agent or policy cannot be made."""

    exit_code = 2
