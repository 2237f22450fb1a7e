"""What is being served just now, so that a log line can say which call it belongs to."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Activity:
    """One request of a client while it is served.

    Attributes:
        session: The client's session.
        trace_id: Its trace, where it has one.
        span_id: The span of the host in that trace, or the caller's where none is recorded.
        call_id: The call's id in the record, once it has one.
        server: The server that serves it, once that is known.
        over: Whether it was answered. A task that it started may live on, as a connection's
            reader does, and then belongs to no call.
    """

    session: str
    trace_id: str | None = None
    span_id: str | None = None
    call_id: str | None = None
    server: str | None = None
    over: bool = False


CURRENT: ContextVar[Activity | None] = ContextVar("activity", default=None)


def current_activity() -> Activity | None:
    """Return what is being served; None where nothing is."""
    activity = CURRENT.get()
    return None if activity is None or activity.over else activity


def note_call(call_id: str, server: str) -> None:
    """Say which recorded call the current activity is, and who serves it."""
    activity = CURRENT.get()
    if activity is not None:
        activity.call_id, activity.server = call_id, server
