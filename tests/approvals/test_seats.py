import asyncio
import contextlib
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from host.approvals.approval import Approval, Pass
from host.approvals.call import AskedCall
from host.approvals.desk import Desk
from host.approvals.inbox import Inbox
from host.domain.errors import DeniedError
from tests.approvals.desks import Office, call, open_office
from tests.fakes.moment import Moment

pytestmark = pytest.mark.anyio


class Caller:
    """One that asks and waits, and can leave."""

    def __init__(self, office: Office, *, keep: bool) -> None:
        self._office = office
        self._keep = keep
        self._scope = anyio.CancelScope()
        self._told: list[Approval] = []
        self.waits = anyio.Event()
        self.left = anyio.Event()
        self.passed: Pass | None = None

    async def ask(self) -> None:
        def tell(approval: Approval) -> None:
            self._told.append(approval)
            self.waits.set()

        with self._scope, contextlib.suppress(DeniedError):
            self.passed = await self._office.desk.admit(call(), tell=tell, keep=self._keep)
        self.left.set()

    def go(self) -> None:
        self._scope.cancel()

    async def leave(self) -> None:
        self.go()
        await self.left.wait()

    async def approval(self) -> Approval:
        return await self._office.inbox.find(self._told[0].id)


async def test_a_question_that_two_wait_for_is_withdrawn_only_when_the_last_has_gone(
    empty_store_folder: Path,
):
    async with open_office(empty_store_folder) as office, anyio.create_task_group() as group:
        first, second = Caller(office, keep=False), Caller(office, keep=False)
        for caller in (first, second):
            group.start_soon(caller.ask)
            await caller.waits.wait()
        await first.leave()
        assert (await second.approval()).state == "pending"
        await second.leave()
        assert (await second.approval()).state == "withdrawn"


async def test_who_stays_gets_the_answer_though_another_has_ended(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office, anyio.create_task_group() as group:
        ended, stays = Caller(office, keep=False), Caller(office, keep=False)
        for caller in (ended, stays):
            group.start_soon(caller.ask)
            await caller.waits.wait()
        await ended.leave()
        await office.answer(await stays.approval())
        await stays.left.wait()
        assert stays.passed is not None


async def test_a_question_stays_open_for_a_caller_that_will_ask_again(empty_store_folder: Path):
    async with open_office(empty_store_folder) as office, anyio.create_task_group() as group:
        returns, ended = Caller(office, keep=True), Caller(office, keep=False)
        for caller in (returns, ended):
            group.start_soon(caller.ask)
            await caller.waits.wait()
        await returns.leave()
        await ended.leave()
        assert (await returns.approval()).state == "pending"


async def test_who_leaves_while_the_question_is_being_stored_takes_it_along(
    empty_store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    ask = Desk._ask

    async with open_office(empty_store_folder) as office:
        caller = Caller(office, keep=False)

        async def stored(self: Desk, asked: AskedCall) -> Pass | Approval:
            found = await ask(self, asked)
            caller.go()
            await anyio.lowlevel.checkpoint()
            return found

        monkeypatch.setattr(Desk, "_ask", stored)
        await caller.ask()
        assert (await caller.approval()).state == "withdrawn"


async def test_who_waits_and_is_cancelled_twice_takes_the_question_along(
    empty_store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    async with open_office(empty_store_folder) as office:
        moment = Moment(monkeypatch)
        moment.of(Inbox, "withdraw")
        caller = Caller(office, keep=False)
        asking = asyncio.create_task(caller.ask())
        await caller.waits.wait()
        asking.cancel()
        assert await moment.ends(asking)
        assert (await caller.approval()).state == "withdrawn"


async def test_who_asks_and_is_cancelled_twice_takes_the_question_along(
    empty_store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    ask = Desk._ask
    stored = asyncio.Event()

    async def store(self: Desk, asked: AskedCall) -> Pass | Approval:
        await ask(self, asked)
        stored.set()
        return await asyncio.Future()

    async with open_office(empty_store_folder) as office:
        moment = Moment(monkeypatch)
        monkeypatch.setattr(Desk, "_ask", store)
        moment.of(Desk, "_left")
        caller = Caller(office, keep=False)
        asking = asyncio.create_task(caller.ask())
        await stored.wait()
        asking.cancel()
        assert await moment.ends(asking)
        assert (await caller.approval()).state == "withdrawn"
