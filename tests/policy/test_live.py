from pathlib import Path

import anyio
import pytest

from host.config.paths import user_paths
from host.domain.errors import PolicyError
from host.policy.live import LivePolicy, PolicyChange
from host.policy.source import Found, find_sources, policy_places
from tests.policy.conftest import attempt


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


DENY, ALLOW, BROKEN = "default: deny\n", "default: allow\n", "default: perhaps\n"


class Folder:
    def __init__(self, tmp_path: Path) -> None:
        self.paths = user_paths({"HOME": str(tmp_path)})
        self.file = self.paths.config / "policies" / "mine.yaml"
        self.file.parent.mkdir(parents=True)
        self.none = tmp_path / "none"

    def find(self) -> Found:
        return find_sources(self.paths, organisation=self.none)

    def write(self, text: str) -> None:
        fresh = self.file.with_name(".fresh")
        fresh.write_text(text)
        fresh.replace(self.file)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_an_unreadable_policy_leaves_nothing_in_force(folder: Folder):
    folder.write(ALLOW)
    live = LivePolicy(folder.find)
    assert live.current.decide(attempt()).action == "allow"
    assert live.refresh() is None
    folder.write(BROKEN)
    change = live.refresh()
    assert change is not None
    assert change.after is None
    with pytest.raises(PolicyError, match=r"mine\.yaml:1"):
        _ = live.current
    assert live.refresh() is None
    folder.write(DENY)
    change = live.refresh()
    assert change is not None
    assert (change.before, change.error) == (None, None)
    assert live.current.decide(attempt()).action == "deny"
    assert change.detail()["after"] == live.current.digest


def test_a_host_that_starts_with_an_unreadable_policy_has_none(folder: Folder):
    folder.write(BROKEN)
    live = LivePolicy(folder.find)
    with pytest.raises(PolicyError, match="nothing runs"):
        _ = live.current


def test_a_decision_under_way_keeps_the_policy_it_began_with(folder: Folder):
    folder.write(ALLOW)
    live = LivePolicy(folder.find)
    held = live.current
    folder.write(DENY)
    live.refresh()
    assert held.decide(attempt()).action == "allow"
    assert live.current.decide(attempt()).action == "deny"


@pytest.mark.anyio
async def test_an_edit_is_noticed_and_told(folder: Folder):
    folder.write(ALLOW)
    live = LivePolicy(folder.find, policy_places(folder.paths, organisation=folder.none))
    changes: list[PolicyChange] = []
    stop = anyio.Event()

    async def watch() -> None:
        async for change in live.watch(stop):
            changes.append(change)
            if len(changes) == 1:
                folder.write(BROKEN)
            elif len(changes) == 2:
                folder.file.unlink()
            else:
                stop.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            folder.write(DENY)
    assert [one.after is None for one in changes] == [False, True, False]
    assert live.current.sources[0].level == "shipped"
