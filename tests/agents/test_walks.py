"""Whatever is answered, killed, cancelled and taken up when: no change is made twice."""

import os
from pathlib import Path

import pytest

from tests.agents.walker import Walk

pytestmark = pytest.mark.anyio

WALKS = int(os.environ.get("HOST_WALKS", "3"))


@pytest.mark.parametrize("seed", range(WALKS))
async def test_every_change_is_made_once_on_a_random_walk(
    store_folder: Path, tmp_path: Path, seed: int
) -> None:
    walk = Walk(seed, store_folder, tmp_path)
    wrong = await walk.go()
    assert wrong == [], f"{walk.steps}, made {walk.made}"
