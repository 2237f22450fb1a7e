"""The conversation that a run begins with: a new one, one that is continued, or one taken up."""

from collections.abc import Sequence

from host.agents.active import Active
from host.agents.library import Agent
from host.agents.recall import Recaller
from host.agents.transcript import (
    Transcript,
    dump_content,
    plain_text,
    replay_events,
    user_message,
)
from host.approvals.inbox import Inbox
from host.events.run import Event
from host.events.runs import Runs

RECALLED = frozenset({"private", "untrusted"})
"""Labels of memories: they may have been a stranger's words when they were kept."""


async def conversation_of(
    active: Active,
    agent: Agent,
    events: Sequence[Event] | None,
    *,
    runs: Runs,
    recaller: Recaller,
    inbox: Inbox,
) -> Transcript:
    """Return the conversation that a run begins with, and write down how it is taken up.

    Args:
        active: The run.
        agent: Who is asked.
        events: What has happened in it, where it is taken up; None for a new one.
        runs: Reads the runs of the conversation that it continues.
        recaller: Reads the memory.
        inbox: The approvals.
    """
    principal = active.exchange.session.principal
    transcript = Transcript(agent=active.agent)
    for run_id in active.history:
        before = await runs.events(principal, run_id)
        replay_events(before, transcript)
        transcript.close_calls(ended=bool(before) and before[-1].kind == "finished")
    transcript.repairs = 0
    if events is None and active.run.parent is None:
        active.taint.say(plain_text(active.order.content))
    if active.history or events is not None:
        active.taint.doubt()  # what was read then is in the conversation, but not known here
    transcript.agent = active.agent
    if events is not None:
        replay_events(events, transcript)
        active.agent = transcript.agent
        active.log.add("resumed", {"epoch": active.run.epoch})
        transcript.unmade = await _unmade(transcript, inbox)
        return transcript
    transcript.messages.append(user_message(active.order.content))
    content = active.order.content
    recalled = await recaller.recall(principal, agent, content, told=transcript.tells)
    if recalled:
        active.log.add("recalled", {"text": recalled})
        active.taint.meet(RECALLED, source="memory")
        active.taint.reached(recalled, RECALLED, server="memory")
        transcript.recall(recalled)
    return transcript


def write_start(active: Active) -> Event:
    """Write down what a run is asked, before anything else happens, and return that."""
    order = active.order
    data = {
        "agent": active.agent,
        "input": dump_content(order.content),
        "history": list(active.history),
        "model": order.model,
        "schema": order.schema,
        "chosen": order.chosen,
    }
    return active.log.add("started", data)


async def _unmade(transcript: Transcript, inbox: Inbox) -> set[str]:
    """Return the open calls that were waiting for an approval, so that they were not made.

    An approval that was used up may have let its call through.
    """
    found: set[str] = set()
    for call in transcript.open_calls():
        approval_id = transcript.waiting.get(call.tool_call_id)
        if approval_id is not None:
            approval = await inbox.find(approval_id)
            if approval.state not in ("consumed", "unknown"):
                found.add(call.tool_call_id)
    return found
