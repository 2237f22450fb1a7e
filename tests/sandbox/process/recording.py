"""A broker that records what plugins ask for and lets a test hold answers back."""

from collections.abc import Sequence
from typing import Any

import anyio
import anyio.lowlevel

from host.domain.errors import DeniedError
from host.sandbox.broker import Log, Progress
from host.sandbox.config import SandboxConfig
from host.sandbox.pool import SandboxPool

LOADER = "tests.fakes.plain_loader:compile_plugin"


class DictState:
    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def get(self, key: str) -> Any:
        return self.values.get(key)

    async def set(self, key: str, value: Any) -> None:
        self.values[key] = value

    async def delete(self, key: str) -> bool:
        return self.values.pop(key, None) is not None

    async def keys(self, prefix: str) -> Sequence[str]:
        return [key for key in self.values if key.startswith(prefix)]


class RecordingBroker:
    def __init__(self) -> None:
        self.state = DictState()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.notes: list[Log | Progress] = []
        self.asked = anyio.Event()
        self.answer = anyio.Event()
        self.cancelled = anyio.Event()
        self.together = 0
        self.most_together = 0

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        self.calls.append((name, arguments))
        if name == "denied":
            raise DeniedError("A rule denies this.")
        if name == "broken":
            raise RuntimeError("a bug in the host")
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        self.asked.set()
        try:
            if name == "slow":
                await self.answer.wait()
            else:
                await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise
        finally:
            self.together -= 1
        return {"echo": arguments}

    async def secret(self, name: str) -> str:
        return f"handle:{name}"

    async def note(self, note: Log | Progress) -> None:
        self.notes.append(note)


def open_pool(**settings: Any) -> SandboxPool:
    return SandboxPool(SandboxConfig(**settings), loader=LOADER)
