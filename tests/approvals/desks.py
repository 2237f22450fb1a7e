"""Desks over one database, as several processes would have them, and calls to bring there."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host.approvals.approval import Answer, Approval
from host.approvals.board import Board, Ruling
from host.approvals.call import AskedCall
from host.approvals.desk import Desk
from host.approvals.inbox import Inbox
from host.approvals.table import Runner
from host.config.approvals import ApprovalsConfig
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.secrets.seal import Sealer
from host.storage.store import Store, open_store

ANN = Principal("ann", "cursor", attended=True)
BOB = Principal("bob", "cursor", attended=True)
BOSS = Principal("local", "terminal", role="admin", attended=True)


@dataclass
class Office:
    """One process's share of the approvals.

    Attributes:
        notes: What it recorded: who, what, with what.
    """

    store: Store
    sealer: Sealer
    runner: Runner = field(default_factory=lambda: Runner("home", "boot"))
    config: ApprovalsConfig = field(default_factory=lambda: ApprovalsConfig(wait=60, progress=1))
    notes: list[tuple[str, str, Json]] = field(default_factory=list[tuple[str, str, Json]])

    def __post_init__(self) -> None:
        self.board = Board(
            self.store, self.sealer, runner=self.runner, config=self.config, note=self._note
        )
        self.board.judge = _anything_goes
        self.inbox = Inbox(self.board)
        self.desk = Desk(self.board, self.inbox)

    def _note(self, who: Principal, name: str, detail: Json) -> None:
        self.notes.append((who.id, name, detail))

    async def answer(
        self, approval: Approval, *, approve: bool = True, by: Principal = BOSS, **more: Any
    ) -> Approval:
        said = Answer(approve=approve, by=by, channel="cli", digest=approval.digest, **more)
        return await self.inbox.answer(approval.id, said)


async def _anything_goes(
    _caller: Principal, _approver: Principal, _context: Json, _arguments: Json
) -> Ruling:
    return Ruling()


def call(name: str = "mail__send", caller: Principal = ANN, **fields: Any) -> AskedCall:
    ordinary: dict[str, Any] = {
        "principal": caller,
        "method": "tools/call",
        "name": name,
        "arguments": {"to": "bob"},
        "definition": "d1",
        "session": "s1",
        "reasons": ("it sends",),
    }
    return AskedCall(**(ordinary | fields))


@asynccontextmanager
async def open_office(folder: Path, **options: Any) -> AsyncGenerator[Office]:
    store = await open_store(None, folder, linger=0.0)
    office = Office(store, Sealer.ephemeral(), **options)
    try:
        yield office
    finally:
        await office.board.close()
        await store.close()
