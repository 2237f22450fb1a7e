"""Reads runs and events: lists them, follows one while it goes on, takes up one that stopped."""

import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from host.domain.errors import NotFoundError, RunStateError, StoreError
from host.domain.principal import Principal
from host.events.holder import HELD
from host.events.news import listening, next_news
from host.events.run import Event, Run, utc_now
from host.events.writer import SILENCE
from host.storage.store import Store

LIVE = ("running", "parked")
"""States of a run that goes on."""

PATIENCE = 10.0
"""Seconds that the store, and then a run's process, may be away while one follows it."""

_CONNECT_AGAIN = 0.2
"""Seconds until a lost store is looked for again."""

_PAUSES = (0.0, 0.1, 0.2, 0.4)
"""Seconds before each look at whether a holder is gone: PostgreSQL may not have noticed yet."""

_COLUMNS = (
    "id, user_id, client, kind, name, model, title, parent, root, thread, depth, definition, epoch,"
    " status, error, hidden, steps, input_tokens, output_tokens, cost, started, heartbeat, ended,"
    f" (status not in ('running', 'parked') or {HELD}) as held"
)

_CLAIM = f"""
update host.runs set epoch = epoch + 1, status = 'running', error = null, ended = null,
    heartbeat = now(), holder = %(holder)s
where id = %(id)s and epoch = %(epoch)s and status <> 'succeeded'
    and (%(force)s or status not in ('running', 'parked') or not {HELD}
        or heartbeat < now() - make_interval(secs => %(silence)s))
returning epoch
"""  # noqa: S608 - no values in it


class Runs:
    """Runs of the users of a store; everybody sees their own, an admin sees all.

    Args:
        store: The database.
        caught_up: Waited for before anything is looked up, so that what this process has told
            already is found; who follows a run is told of it in time.
    """

    def __init__(
        self, store: Store, *, caught_up: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._store = store
        self._caught_up = caught_up or _nothing_to_wait_for

    async def page(
        self,
        principal: Principal,
        *,
        limit: int = 50,
        name: str | None = None,
        thread: str | None = None,
        nested: bool = False,
    ) -> list[Run]:
        """Return runs, newest first.

        Args:
            principal: Whose.
            limit: Most runs.
            name: Only of this agent.
            thread: Only of this conversation.
            nested: Also those that other runs started.
        """
        tail = (
            "where (%(name)s::text is null or name = %(name)s)"
            " and (%(thread)s::text is null or thread = %(thread)s)"
            " and (%(nested)s or parent is null) order by started desc, id limit %(limit)s"
        )
        values = {"name": name, "thread": thread, "nested": nested, "limit": limit}
        await self._caught_up()
        return await self._select(principal, tail, values)

    async def get(self, principal: Principal, run_id: str) -> Run:
        """Return a run by its id or the beginning of it.

        Raises:
            NotFoundError: There is none, or several begin like that.
        """
        await self._caught_up()
        return await self._get(principal, run_id)

    async def _get(self, principal: Principal, run_id: str) -> Run:
        tail = "where id = %(id)s or left(id, length(%(id)s)) = %(id)s limit 2"
        found = await self._select(principal, tail, {"id": run_id or "-"})
        exact = [run for run in found if run.id == run_id]
        if exact or len(found) == 1:
            return (exact or found)[0]
        if found:
            raise NotFoundError("run", run_id, next_step="Several ids begin like that; give more.")
        raise NotFoundError("run", run_id, next_step="`host runs list` shows them.")

    async def events(self, principal: Principal, run_id: str, *, after: int = 0) -> list[Event]:
        """Return the events of a run in order, without those up to a number."""
        await self._caught_up()
        return await self._events(principal, run_id, after)

    async def _events(self, principal: Principal, run_id: str, after: int) -> list[Event]:
        statement = (
            "select seq, kind, at, data::text as data from host.run_events"
            " where run_id = %s and seq > %s order by seq"
        )
        async with self._store.transaction(principal) as database:
            rows = await (await database.execute(statement, [run_id, after])).fetchall()
        return [
            Event(run_id, row["seq"], row["kind"], row["at"], json.loads(row["data"]))
            for row in rows
        ]

    async def family(self, principal: Principal, run_id: str) -> list[Run]:
        """Return the runs that a run started, directly or not, in order."""
        tail = "where root = %(id)s and id <> %(id)s order by started, id"
        await self._caught_up()
        return await self._select(principal, tail, {"id": run_id})

    async def thread(self, principal: Principal, thread: str) -> list[Run]:
        """Return the runs of a conversation in order, without those that were taken out."""
        tail = "where thread = %(thread)s and parent is null and not hidden order by started, id"
        await self._caught_up()
        return await self._select(principal, tail, {"thread": thread})

    async def hide(self, principal: Principal, run_id: str) -> None:
        """Take a run out of its conversation; it stays in the record."""
        async with self._store.transaction(principal) as database:
            await database.execute("update host.runs set hidden = true where id = %s", [run_id])

    async def save_thread(self, principal: Principal, name: str, thread: str) -> None:
        """Give a conversation a name.

        Raises:
            NotFoundError: Nothing was said in it, or all of it was taken back.
        """
        await self._spoken(principal, thread)
        async with self._store.transaction(principal) as database:
            await database.execute(
                "insert into host.run_threads (user_id, name, thread) values (%s, %s, %s)"
                " on conflict (user_id, name) do update"
                " set thread = excluded.thread, saved = now()",
                [principal.user, name, thread],
            )

    async def find_thread(self, principal: Principal, name: str) -> str:
        """Return the conversation of a name, of an id, or of the beginning of a run's id.

        Raises:
            NotFoundError: There is none.
        """
        async with self._store.transaction(principal) as database:
            row = await (
                await database.execute(
                    "select thread from host.run_threads where name = %s and user_id = %s",
                    [name, principal.user],
                )
            ).fetchone()
        if row is not None:
            return str(row["thread"])
        try:
            return (await self.get(principal, name)).thread
        except NotFoundError as error:
            raise NotFoundError("conversation", name, next_step=error.next_step) from None

    async def conversation(self, principal: Principal, name: str) -> list[Run]:
        """Return what is left of a conversation, which is named as `find_thread` takes it.

        Raises:
            NotFoundError: There is none, or all of it was taken back.
        """
        found = await self.thread(principal, name)
        return found or await self._spoken(principal, await self.find_thread(principal, name))

    async def _spoken(self, principal: Principal, thread: str) -> list[Run]:
        """Return what is left of a conversation, if there is something."""
        found = await self.thread(principal, thread)
        if not found:
            text = "Nothing was said in it, or all of it was taken back; `host runs list`."
            raise NotFoundError("conversation", thread, next_step=text)
        return found

    async def threads(self, principal: Principal, *, limit: int = 20) -> list[dict[str, Any]]:
        """Return the latest conversations: their first run's title, and names given to them."""
        statement = """
            select r.thread, min(r.started) as started, max(r.started) as latest,
                count(*) as runs, (array_agg(r.title order by r.started))[1] as title,
                (array_agg(r.name order by r.started desc))[1] as agent,
                (select string_agg(t.name, ', ' order by t.name) from host.run_threads t
                 where t.thread = r.thread) as names
            from host.runs r where r.parent is null and not r.hidden
            group by r.thread order by latest desc limit %s
        """
        await self._caught_up()
        async with self._store.transaction(principal) as database:
            rows = await (await database.execute(statement, [limit])).fetchall()
        return [
            {**row, "started": row["started"].isoformat(), "latest": row["latest"].isoformat()}
            for row in rows
        ]

    async def interrupted(self, principal: Principal) -> list[Run]:
        """Return the outermost runs of the last day that were left at work."""
        tail = (
            "where status = 'running' and parent is null and heartbeat > now() - interval '1 day'"
            " order by started, id"
        )
        found = await self._select(principal, tail, {})
        return [run for run in found if run.status == "interrupted"]

    async def parked(self, principal: Principal) -> list[Run]:
        """Return the outermost runs that wait for an approval, with their last sign of life."""
        tail = "where status = 'parked' and parent is null order by started, id"
        return await self._select(principal, tail, {})

    async def claim(
        self, principal: Principal, run: Run, *, holder: int | None = None, force: bool = False
    ) -> Run:
        """Take up a run that nobody works on: its epoch is raised, so older writers are refused.

        Nobody does where its holder is gone, or nothing was heard of it for a while.

        Args:
            principal: Who takes it up.
            run: The run, as it was read.
            holder: As whom; None is somebody of whom only signs of life will tell.
            force: Whether to take it from whoever has it.

        Raises:
            RunStateError: It ended well, or somebody works on it.
        """
        values = {
            "id": run.id,
            "epoch": run.epoch,
            "holder": holder,
            "force": force,
            "silence": SILENCE,
        }
        now = run
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            async with self._store.transaction(principal) as database:
                rows = await (await database.execute(_CLAIM.encode(), values)).fetchall()
            for row in rows:
                epoch = int(row["epoch"])
                return replace(run, epoch=epoch, status="running", error=None, ended=None)
            now = await self.get(principal, run.id)
            if now.status == "succeeded" or now.epoch != run.epoch:
                break
        raise _not_to_be_taken_up(run, now)

    async def follow(
        self, principal: Principal, run_id: str, *, after: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a run, those to come as well, until it ends; from any process.

        A store that is started anew meanwhile is found again, and no event is told twice. Whoever
        works on the run has to find it as well: until then the run looks interrupted.

        Raises:
            NotFoundError: There is no such run.
            StoreError: The store cannot be reached, or was away for too long.
        """
        await self._caught_up()
        lost, seen, back = False, -math.inf, -math.inf
        while True:
            try:
                async with listening(self._store) as listener:
                    while True:
                        run = await self._get(principal, run_id)
                        for event in await self._events(principal, run_id, after):
                            after = event.seq
                            yield event
                        seen = time.monotonic()
                        lost, back = False, seen if lost else back
                        if run.status not in (*LIVE, "interrupted"):
                            return
                        if run.status == "interrupted" and seen - back > PATIENCE:
                            await listener.execute("select 1")  # unless the store was just lost
                            return
                        await next_news(listener, run_id)
            except StoreError:
                if time.monotonic() - seen > PATIENCE:
                    raise
                lost = True
            await asyncio.sleep(_CONNECT_AGAIN)

    async def wait_for_news(
        self, principal: Principal, run_id: str, *, after: int, seconds: float
    ) -> None:
        """Return when a run has ended or has events after a number, or after some seconds."""
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(seconds),
                aclosing(self.follow(principal, run_id, after=after)) as news,
            ):
                async for _ in news:
                    return

    async def _select(self, principal: Principal, tail: str, values: dict[str, Any]) -> list[Run]:
        statement = f"select {_COLUMNS} from host.runs {tail}"  # noqa: S608 - no values in it
        async with self._store.transaction(principal) as database:
            rows = await (await database.execute(statement.encode(), values)).fetchall()
        return [_run_of(row) for row in rows]


async def _nothing_to_wait_for() -> None:
    return


def _not_to_be_taken_up(known: Run, now: Run) -> RunStateError:
    """Return why a run cannot be taken up, and when it can.

    Args:
        known: The run, as whoever wants it knew it.
        now: As it is now.
    """
    shown = f"`host runs show {now.id}` prints it"
    if now.status == "succeeded":
        return RunStateError(f"The run {now.id} has ended well.", next_step=f"{shown}.")
    if now.epoch != known.epoch:
        return RunStateError(f"The run {now.id} was taken up by somebody else just now.")
    left = SILENCE - (utc_now() - now.heartbeat).total_seconds()
    return RunStateError(
        f"The run {now.id} is going on in another process.",
        next_step=f"{shown}; it can be taken up when that process has ended, or when nothing is "
        f"heard of it for another {max(1, math.ceil(left))} s.",
    )


def _run_of(row: dict[str, Any]) -> Run:
    run = Run(**row)
    silent = run.heartbeat < utc_now() - timedelta(seconds=SILENCE)
    if run.status == "running" and (silent or not run.held):
        return replace(run, status="interrupted")
    return run


Listener = Callable[[Event], None]


class Hub:
    """Passes events on inside this process, at once."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    def listen(self, run_id: str, listener: Listener) -> Callable[[], None]:
        """Have a function told of each event of a run; return what ends that."""
        self._listeners.setdefault(run_id, []).append(listener)

        def stop() -> None:
            listeners = self._listeners.get(run_id, [])
            if listener in listeners:
                listeners.remove(listener)
            if not listeners:
                self._listeners.pop(run_id, None)

        return stop

    def publish(self, event: Event) -> None:
        """Tell whoever listens to the event's run."""
        self.pass_on(event.run_id, event)

    def pass_on(self, run_id: str, event: Event) -> None:
        """Tell whoever listens to a run of an event, which may be of a run inside it."""
        listeners: Sequence[Listener] = self._listeners.get(run_id, ())
        for listener in tuple(listeners):
            listener(event)
