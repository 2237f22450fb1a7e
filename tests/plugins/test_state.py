"""What plugins keep: whose it is, how much, and with which labels."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from host.domain.errors import DeniedError, SandboxError
from host.domain.principal import Principal
from host.plugins.state import MAX_KEYS, CallTaint, DatabaseState, NoState, ShortState
from host.storage.store import Store, open_store

pytestmark = pytest.mark.anyio

ANN, BOB = Principal("ann", "cursor"), Principal("bob", "cursor")


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Store]:
    store = await open_store(None, folder)
    try:
        yield store
    finally:
        await store.close()


def state_of(
    store: Store, principal: Principal, taint: CallTaint | None = None, *, plugin: str = "notes"
) -> DatabaseState:
    return DatabaseState(store, plugin, principal=principal, quota=1000, taint=taint or CallTaint())


async def test_values_are_kept_for_one_user_and_one_plugin(store_folder: Path):
    async with opened(store_folder) as store:
        await state_of(store, ANN).set("a", {"x": [1, None, "\u0000"]})
        await state_of(store, ANN).set("b", 2)
        assert await state_of(store, ANN).get("a") == {"x": [1, None, "\u0000"]}
        assert await state_of(store, ANN).keys("") == ["a", "b"]
        assert await state_of(store, BOB).get("a") is None
        assert await state_of(store, ANN, plugin="other").keys("") == []
        assert await state_of(store, ANN).delete("a") is True
        assert await state_of(store, ANN).delete("a") is False


async def test_what_is_stored_keeps_the_labels_of_what_was_read(store_folder: Path):
    async with opened(store_folder) as store:
        tainted = CallTaint()
        tainted.add(["untrusted"])
        await state_of(store, BOB, tainted).set("page", "text")
        later = CallTaint()
        await state_of(store, BOB, later).get("page")
        assert later.current() == {"untrusted"}
        copied = state_of(store, BOB, later)
        await copied.set("copy", "text")
        listing = CallTaint()
        await state_of(store, BOB, listing).keys("copy")
        assert listing.current() == {"untrusted"}


async def test_more_than_the_quota_is_refused_and_replacing_counts_once(store_folder: Path):
    async with opened(store_folder) as store:
        state = state_of(store, Principal("cat", "cursor"))
        for _ in range(3):
            await state.set("big", "x" * 900)
        with pytest.raises(SandboxError, match=r"host\.state is full: \d+ bytes under 2 keys"):
            await state.set("more", "x" * 100)
        assert await state.keys("") == ["big"]


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "a\0b"])
async def test_an_unusable_key_is_refused(key: str):
    with pytest.raises(SandboxError, match="no key for host"):
        await ShortState().set(key, 1)


async def test_short_state_has_the_same_limits():
    state = ShortState(100)
    with pytest.raises(SandboxError, match="is full"):
        await state.set("a", "x" * 200)
    large = ShortState()
    for number in range(MAX_KEYS):
        await large.set(str(number), 1)
    with pytest.raises(SandboxError, match="is full"):
        await large.set("one more", 1)


async def test_state_that_was_not_granted_says_what_to_do():
    with pytest.raises(DeniedError, match="may not keep values"):
        await NoState("The plugin x may not keep values.").get("a")
