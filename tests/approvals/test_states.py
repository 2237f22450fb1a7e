"""Whatever happens to approvals and grants at once: what a machine tries, step by step."""

from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.approvals.desks import open_office
from tests.approvals.machine import Approvals, open_gate


def explore(folder: Path, examples: int, *, derandomize: bool) -> None:
    """Let the machine run over a database of its own, and look whether it went everywhere."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(open_office(folder)) as office,
    ):
        Approvals.portal, Approvals.first = portal, office
        Approvals.gate, Approvals.policy = open_gate(folder)
        run_state_machine_as_test(
            Approvals,
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                derandomize=derandomize,
                database=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )
        # Each way was really gone; what holds on the way is checked at each step.
        reached = {name for _, name, _ in office.notes}
        ways = ("asked", "approved", "denied", "withdrawn", "expired", "used", "unknown")
        assert reached >= {f"approval.{way}" for way in ways}
        assert reached >= {"grant.given", "grant.used", "grant.revoked"}


@pytest.mark.timeout(900)  # seconds of work, which a busy machine does not get at once
def test_at_most_once_and_never_without_a_valid_decision(empty_store_folder: Path):
    explore(empty_store_folder, 15, derandomize=True)
