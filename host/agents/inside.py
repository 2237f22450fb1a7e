"""A run inside a run that is taken up: it goes on with the one around it, and answers its call."""

from host.agents.attending import attend
from host.agents.past import past_outcome, result_of
from host.agents.runner import Runner
from host.domain.errors import NotFoundError
from host.domain.jsonrpc import Json
from host.gateway.exchange import Exchange


async def go_on_inside(runner: Runner, exchange: Exchange, run_id: str) -> Json | None:
    """Take up a run inside a run, wait for its end, and return its result.

    Args:
        runner: Who runs it.
        exchange: The call of the outer run that it answers.
        run_id: The run.

    Returns:
        The result of the call; None where nothing of the run was stored before the host stopped.

    Raises:
        NotFoundError: An agent of it is gone; the run has been ended.
        RunStateError: Somebody else works on it.
    """
    principal = exchange.session.principal
    if (still := runner.active.get(run_id)) is not None:  # it was cancelled and is about to end
        await still.wait()
    try:
        run = await runner.runs.get(principal, run_id)
    except NotFoundError:
        return None
    events = await runner.runs.events(principal, run.id)
    if not events:
        return None
    if run.status == "succeeded":  # the host stopped before its result was written outside
        return result_of(past_outcome(run, events))
    try:
        active = await runner.resume(exchange, run_id, parked=True)
    except NotFoundError as gone:
        await runner.endings.end(principal, run, str(gone))
        raise
    return result_of(await attend(runner, active, exchange))
