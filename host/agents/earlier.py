"""What a run had done before it was taken up: who had it, and what each of them has used."""

from collections.abc import Sequence
from datetime import datetime

from host.agents.budget import Spent
from host.agents.order import Order
from host.agents.transcript import load_content
from host.domain.jsonrpc import Json
from host.domain.protocol import object_member
from host.events.run import Event, Run


def agents_of(events: Sequence[Event]) -> list[str]:
    """Return who has had the conversation, in order."""
    names = [str(name) for _, name in _turns(events)]
    return list(dict.fromkeys(names))


def asked_by(events: Sequence[Event]) -> list[str]:
    """Return the approvals that a run, and those inside it, asked for and had no answer to."""
    found: dict[str, None] = {}
    for event in events:
        if event.kind == "approval":
            found[str(event.data["approval"])] = None
        elif event.kind == "answer":
            found.pop(str(event.data.get("approval")), None)
    return list(found)


def order_again(run: Run, events: Sequence[Event]) -> Order:
    """Return what a run was asked."""
    begun = _begun(events)
    return Order(
        agent=run.name,
        content=load_content(begun.get("input", "")),
        model=str(begun.get("model") or ""),
        schema=begun.get("schema"),
        chosen=str(begun.get("chosen") or ""),
    )


def history_of(events: Sequence[Event]) -> list[str]:
    """Return the runs of the conversation that a run continued."""
    return list(_begun(events).get("history") or ())


def spent_by(events: Sequence[Event], inside: Sequence[Run]) -> dict[str, Spent]:
    """Return what each agent has used, so that its limits go on where they stood.

    Time counts while the run was worked on or parked, not while nobody had it.

    Args:
        events: The run's.
        inside: All runs that it started, and those that they started.
    """
    found: dict[str, Spent] = {}
    agent, since = "", None
    for event in events:
        if event.kind in ("started", "resumed"):
            since = event.at
        if event.kind == "started":
            agent = str(event.data.get("agent") or "")
        spent = found.setdefault(agent, Spent())
        if since is not None:
            spent.seconds += max(0.0, (event.at - since).total_seconds())
            since = event.at
        spent.add(_used(event))
        if event.kind == "handoff":
            agent = str(event.data["to"])
    for run in inside:
        one = found.setdefault(_holder(events, run.started), Spent())
        one.add(Spent(run.steps, run.input_tokens + run.output_tokens, run.cost))
    return found


def runs_inside(family: Sequence[Run], run_id: str) -> list[Run]:
    """Return the runs of a family that a run has started, directly or not."""
    found: dict[str, Run] = {}
    rest = list(family)
    while True:
        new = {run.id: run for run in rest if run.parent == run_id or run.parent in found}
        if new.keys() <= found.keys():
            return list(found.values())
        found |= new


def _begun(events: Sequence[Event]) -> Json:
    nothing: Json = {}
    return next((event.data for event in events if event.kind == "started"), nothing)


def _used(event: Event) -> Spent:
    """Return what a request to the model has used that an event tells of."""
    if event.kind == "reply":
        said = object_member(event.data, "response")
        return _counted(said, object_member(said, "metadata").get("cost"))
    if event.kind == "compacted":
        return _counted(event.data, event.data.get("cost"))
    return Spent()


def _counted(said: Json, cost: object) -> Spent:
    usage = object_member(said, "usage")
    tokens = [usage.get(name) or 0 for name in ("input_tokens", "output_tokens")]
    return Spent(1, sum(tokens), float(cost) if isinstance(cost, int | float) else 0.0)


def _turns(events: Sequence[Event]) -> list[tuple[datetime, str]]:
    """Return when each agent got the conversation."""
    given = {"started": "agent", "handoff": "to"}
    return [
        (event.at, str(event.data.get(given[event.kind]) or ""))
        for event in events
        if event.kind in given
    ]


def _holder(events: Sequence[Event], at: datetime) -> str:
    """Return who had the conversation at a time."""
    had = [name for since, name in _turns(events) if since <= at]
    return had[-1] if had else ""
