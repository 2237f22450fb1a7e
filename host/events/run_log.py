"""What one run writes of itself: its events, in order, and how it stands."""

from typing import Any, Protocol

from host.domain.errors import RunStateError, StaleRunError
from host.events.run import Event, EventKind, Run, RunStatus, utc_now


class Sink(Protocol):
    """Takes the events of runs."""

    def put(self, run: "RunLog", event: Event) -> None:
        """Queue an event of a run."""
        ...

    async def flushed(self) -> None:
        """Return once everything that was put is stored.

        Raises:
            StoreError: It could not be stored yet.
        """
        ...


class RunLog:
    """What one run writes; made by `EventWriter.open`."""

    def __init__(self, writer: Sink, run: Run, *, last: int = 0) -> None:
        self._writer = writer
        self.run = run
        self.last = last
        self.usage = run.usage
        self.status: RunStatus = "running"
        self.error: str | None = None
        self.stale = False
        self.ended = False
        """Whether its last event was added."""
        self.leaving = False
        """Whether it is being left as it stands, so that somebody can take it up later."""
        self.waits_for: dict[str, str] = {}
        """The approvals that its calls wait for now, by the call's id."""
        self.notes: list[str] = []
        """What whoever reads the result should know besides, each said once."""

    def park(self, call: str, approval: str) -> None:
        """Take it that a call waits for an approval, and the run with it."""
        self.waits_for[call] = approval
        self.status = "parked"

    def go_on(self, call: str) -> None:
        """Take it that a call does not wait any more; a run that is left stays as it is."""
        if not self.leaving:
            self.waits_for.pop(call, None)
        if self.status == "parked" and not self.waits_for:
            self.status = "running"

    def note(self, text: str) -> None:
        """Queue a note, unless it was made before."""
        if text not in self.notes:
            self.notes.append(text)
            self.add("note", {"text": text})

    def add(self, kind: EventKind, data: dict[str, Any] | None = None) -> Event:
        """Queue an event; `settle` tells when it is stored.

        Raises:
            StaleRunError: Somebody else has taken up the run.
            RunStateError: It has ended; nothing may happen in it any more.
        """
        if self.stale:
            raise stale(self.run)
        if self.ended:
            raise RunStateError(f"The run {self.run.id} has ended.")
        self.last += 1
        event = Event(self.run.id, self.last, kind, utc_now(), data or {})
        self._writer.put(self, event)
        return event

    def finish(self, status: RunStatus, data: dict[str, Any], *, error: str | None = None) -> Event:
        """Queue the last event of the run, or of this part of it."""
        self.status, self.error = status, error
        event = self.add("finished", {"status": status, "error": error, **data})
        self.ended = True
        return event

    async def settle(self) -> None:
        """Return once everything that was added is stored.

        Raises:
            StaleRunError: Somebody else has taken up the run; nothing of this may go on.
            StoreError: It could not be stored yet; it will be tried again.
        """
        await self._writer.flushed()
        if self.stale:
            raise stale(self.run)


def stale(run: Run) -> StaleRunError:
    """Return the error of a writer that was overtaken."""
    return StaleRunError(
        f"The run {run.id} was taken up by another process.",
        next_step="`host runs follow` shows it going on there.",
    )
