"""The question for an approval, whose end comes before it is heard that nobody waits any more."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from host.cli.approving import Attendant
from host.config.runtime import socket_path
from host.domain.jsonrpc import Json

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets"),
]

APPROVAL = "a-1"
NOTHING_WAITS: Json = {"version": 1, "approvals": []}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Daemon:
    """Answers at the control socket, and says when it is to that something has changed."""

    def __init__(self) -> None:
        self.state = "pending"
        self.changed = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        answers: dict[str, Json] = {
            "approvals.show": {"id": APPROVAL, "state": self.state, "arguments": {}, "digest": ""},
            "approvals.guarded": {"passphrase": False},
        }
        answer = answers.get(asked["method"])
        if answer is None:
            left = asyncio.create_task(reader.read())
            change = asyncio.create_task(self.changed.wait())
            await asyncio.wait({left, change}, return_when=asyncio.FIRST_COMPLETED)
            answer = NOTHING_WAITS
            for task in (left, change):
                task.cancel()
        writer.write(json.dumps({"result": answer}).encode() + b"\n")
        writer.close()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("denied", "a-1 was answered elsewhere."),
        ("consumed", "a-1 was answered elsewhere."),
        ("expired", "a-1 has expired."),
        ("withdrawn", "a-1 waits no more."),
        ("pending", "a-1 is not answered; `host approvals` has it."),
        ("", "a-1 is not answered; `host approvals` has it."),
    ],
)
@pytest.mark.parametrize("heard", [False, True])
async def test_question_says_why_it_closes_though_its_step_ends(
    state: str, said: str, heard: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_RUNTIME_DIR", str(tmp_path))
    shown: list[str] = []
    asking, closing, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def read(_prompt: str) -> str:
        asking.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            closing.set()
            await closed.wait()

    daemon = Daemon()
    attendant = Attendant(read, shown.append, read_secret=read, stop=list)
    server = await asyncio.start_unix_server(daemon.answer, socket_path())
    async with server, attendant.attending():
        attendant.hear({"kind": "approval", "data": {"approval": APPROVAL}})
        await asking.wait()
        daemon.state = state
        if not state:
            server.close()  # the daemon is gone
        elif heard:
            daemon.changed.set()
            await closing.wait()
        asyncio.get_running_loop().call_later(0.05, closed.set)
    assert shown[-1] == said
