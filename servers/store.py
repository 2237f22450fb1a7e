"""Waits for the host's store on behalf of a tool call; for the bundled servers that use it."""

import anyio
from fastmcp import Context

from host.domain.errors import StoreError
from host.storage.store import READY_LIMIT, Store

_TELL_EVERY = 1.0
"""Seconds between two words on how far the store is."""


async def await_store(store: Store, context: Context) -> None:
    """Wait for the store, telling the client what is being waited for.

    Raises:
        StoreError: It cannot be used, or not yet.
    """
    if store.state.ready:
        return
    failure: StoreError | None = None  # raised behind the group, which would wrap it
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_report, store, context)
        try:
            await store.ready(deadline=READY_LIMIT)
        except StoreError as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _report(store: Store, context: Context) -> None:
    waited = 0.0
    while True:
        await anyio.sleep(_TELL_EVERY)
        waited += _TELL_EVERY
        await context.report_progress(waited, message=f"The store: {store.state.detail}")
