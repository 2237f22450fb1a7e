"""The state machine of approvals and grants, from another seed and for longer than in every run."""

import os
from pathlib import Path

import pytest

from tests.approvals.test_states import explore


@pytest.mark.timeout(0)
def test_no_sequence_of_many_lets_a_call_through_twice_or_without_a_valid_decision(
    empty_store_folder: Path,
):
    examples = int(os.environ.get("HOST_APPROVAL_EXAMPLES", "100"))
    explore(empty_store_folder, examples, derandomize=False)
