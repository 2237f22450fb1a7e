"""What can go wrong with a tool server: the branch of the error tree under `UpstreamError`."""

from host.domain.host_error import HostError


class UpstreamError(HostError):
    """A tool server failed; `upstream` names it."""

    def __init__(self, message: str, *, upstream: str, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.upstream = upstream


class UpstreamUnavailableError(UpstreamError):
    """A tool server is not running or cannot be reached."""


class UpstreamTimeoutError(UpstreamError):
    """A tool server did not answer in time."""


class UpstreamProtocolError(UpstreamError):
    """A tool server answered with something that is not MCP."""


class UpstreamAuthError(UpstreamError):
    """A tool server does not let the host in, or its authorization server misbehaves."""


class LoginRequiredError(UpstreamAuthError):
    """A person has to log in to a tool server before it can be used."""

    def __init__(self, upstream: str, reason: str = "needs a login") -> None:
        super().__init__(
            f"The server {upstream!r} {reason}.",
            upstream=upstream,
            next_step=f"Run `host servers login {upstream}`.",
        )
