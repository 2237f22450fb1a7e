"""How runs ended: as tools' results, also of those that are only in the record any more."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from host.agents.attending import sentence_of
from host.domain.jsonrpc import INTERNAL_ERROR, Json
from host.events.run import Event, Run
from host.gateway.tasks import POLL_MS

if TYPE_CHECKING:
    from host.agents.order import Outcome


def result_of(outcome: "Outcome") -> Json:
    """Return the end of a run as a tool's result."""
    failed = outcome.status != "succeeded"
    text = outcome.error or outcome.status if failed else outcome.text
    return {
        "content": [{"type": "text", "text": text}, *outcome.blocks()],
        "structuredContent": outcome.fields(),
        **({"isError": True} if failed else {}),
    }


def past_outcome(run: Run, events: Sequence[Event]) -> "Outcome":
    """Return how a run ended, by its record.

    Args:
        run: One that has ended.
        events: All of its events.
    """
    from host.agents.cast import files_of  # noqa: PLC0415 - pydantic-ai loads slowly
    from host.agents.order import Outcome  # noqa: PLC0415 - the same
    from host.agents.transcript import load_response  # noqa: PLC0415 - the same

    said: Json = {}
    replies = [event.data["response"] for event in events if event.kind == "reply"]
    for event in events:
        if event.kind in ("started", "finished"):
            said |= event.data
    return Outcome(
        run=run,
        status=run.status,
        agent=str(said.get("agent") or run.name),
        text=str(said.get("text") or ""),
        value=said.get("output"),
        error=run.error,
        chosen=str(said.get("chosen") or ""),
        notes=tuple(str(one.data["text"]) for one in events if one.kind == "note"),
        files=files_of(load_response(replies[-1])) if replies else (),
    )


def past_task(run: Run, events: Sequence[Event]) -> Json:
    """Return a run that does not go on here as a task, without its id."""
    head: Json = {
        "createdAt": run.started.isoformat(),
        "lastUpdatedAt": (events[-1].at if events else run.started).isoformat(),
        "ttlMs": None,
        "pollIntervalMs": POLL_MS,
    }
    if run.status in ("running", "parked"):
        waits = [event for event in events if event.kind == "approval" and run.status == "parked"]
        why = {"statusMessage": sentence_of(waits[-1])} if waits else {}
        return {**head, "status": "working", **why}
    if run.status == "cancelled":
        return {**head, "status": "cancelled"}
    if run.status == "interrupted":
        text = f"The host stopped during the run {run.id}; orchestrator__resume_run takes it up."
        return {**head, "status": "failed", "error": {"code": INTERNAL_ERROR, "message": text}}
    return {**head, "status": "completed", "result": result_of(past_outcome(run, events))}
