"""Gives records their vectors: at once where it can, else in the background."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from host.domain.errors import EmbedderError
from host.memory.access import Access
from host.memory.embedder import Vector
from host.memory.vectors import (
    Coverage,
    drop_other_vectors,
    embedder_id,
    insert_vectors,
    missing_records,
    read_coverage,
)
from host.storage.store import Database

BATCH = 64
"""Texts that are embedded at a time in the background."""

Progress = Callable[[int, int], Awaitable[None]]
"""Told how many of how many records have their vector."""


@dataclass(frozen=True, slots=True)
class Caught:
    """What catching up came to.

    Attributes:
        embedded: Vectors that were made.
        dropped: Vectors of former embedders that were removed.
    """

    embedded: int
    dropped: int


async def store_vectors(
    database: Database, access: Access, entries: Sequence[int], vectors: Sequence[Vector]
) -> None:
    """Write vectors that were just made for records that were just written."""
    number = await _register(database, access, len(vectors[0]))
    await insert_vectors(database, entries, vectors, embedder=number)


async def catch_up(access: Access, progress: Progress | None = None) -> Caught:
    """Embed every record that has no vector of the embedder in use, newest first.

    It may be stopped at any moment and goes on where it was. When it is through, vectors of former
    embedders are removed.

    Raises:
        EmbedderError: The embedder failed; what was done stays.
    """
    if access.embedder is None:
        return Caught(0, 0)
    done = 0
    number = await _number(access)
    async with access.transaction() as database:
        total = (await read_coverage(database, user=access.user, embedder=number)).missing
    while made := await _walk(access, number, (done, total), progress):
        done += made  # another walk finds what was written during this one
    async with access.transaction() as database:
        dropped = await drop_other_vectors(database, user=access.user, embedder=number)
    return Caught(done, dropped)


async def _walk(
    access: Access, number: int, so_far: tuple[int, int], progress: Progress | None
) -> int:
    """Embed what has no vector, from the newest record to the oldest; return how many."""
    done, total = so_far
    made, before = 0, None
    while True:
        async with access.transaction() as database:
            batch = await missing_records(
                database, user=access.user, embedder=number, most=BATCH, before=before
            )
        if not batch or access.embedder is None:
            return made
        vectors = await access.embedder.embed([text for _, text in batch], "record")
        async with access.transaction() as database:
            await insert_vectors(database, [entry for entry, _ in batch], vectors, embedder=number)
        made, before = made + len(batch), batch[-1][0]
        if progress is not None:
            await progress(done + made, max(total, done + made))


async def current_embedder(database: Database, access: Access) -> int | None:
    """Return the number of the embedder in use; None if there is none, or it made no vector yet."""
    if access.embedder is None:
        return None
    return await embedder_id(database, access.embedder.name, None)


async def coverage(database: Database, access: Access) -> Coverage:
    """Return how many of the user's records have a vector."""
    number = await current_embedder(database, access)
    return await read_coverage(database, user=access.user, embedder=number)


async def _number(access: Access) -> int:
    """Return the number of the embedder in use, asking it for a vector if it is new."""
    async with access.transaction() as database:
        number = await current_embedder(database, access)
    if number is not None or access.embedder is None:
        return number or 0
    probe = await access.embedder.embed(["probe"], "record")
    async with access.transaction() as database:
        return await _register(database, access, len(probe[0]))


async def _register(database: Database, access: Access, size: int) -> int:
    name = access.embedder.name if access.embedder else ""
    try:
        number = await embedder_id(database, name, size)
    except ValueError as error:
        raise EmbedderError(
            f"The embedder's vectors changed their size: {error}.",
            next_step="Give the model a name of its own, or its former size.",
        ) from error
    if number is None:
        raise EmbedderError(f"The embedder {name!r} could not be registered.")
    return number
