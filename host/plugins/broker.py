"""What a plugin's call may ask of the host: its capabilities first, then the one path of calls."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from host.domain.errors import DeniedError, SandboxError
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import list_member, object_member
from host.plugins.log import MessageLog
from host.plugins.manifest import Capabilities
from host.plugins.state import NoState
from host.sandbox.broker import JSON, Log, Progress, StateStore

HANDLE = "secret-handle:"
"""How each handle begins; the rest cannot be guessed."""


class ToolPath(Protocol):
    """The way to a catalog tool on somebody's behalf."""

    async def call(self, name: str, arguments: Json, *, reveal: Mapping[str, str]) -> Json:
        """Return a tool's result, as `tools/call` does.

        Args:
            name: Its catalog name.
            arguments: As they are decided upon and recorded.
            reveal: Handles in the arguments and the secrets they stand for, put in at the very end.
        """
        ...

    def progress(self, note: Progress) -> None:
        """Tell whoever waits for the plugin how far it is."""
        ...


@dataclass
class PluginBroker:
    """Answers the requests of one call of a plugin.

    Attributes:
        plugin: Its name.
        capabilities: What was approved.
        path: How tools are called.
        state: Its own values.
        log: Where its messages go.
        secrets: The secrets it was granted, by name.
    """

    plugin: str
    capabilities: Capabilities
    path: ToolPath
    state: StateStore
    log: MessageLog | None = None
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])
    _handles: dict[str, str] = field(default_factory=dict[str, str])

    async def call_tool(self, name: str, arguments: Json) -> JSON:
        """Call a catalog tool, if the plugin may.

        Raises:
            DeniedError: It may not, or a secret would go where it must not.
            SandboxError: The tool reported an error.
        """
        if not self.capabilities.allows_tool(name):
            raise DeniedError(
                f"The plugin {self.plugin} may not call {name}.",
                next_step="Its `capabilities.tools` would have to name it, and be approved anew.",
            )
        reveal = self._revealed(name, arguments)
        return unwrap_result(name, await self.path.call(name, arguments, reveal=reveal))

    async def secret(self, name: str) -> str:
        """Return a handle for a secret; it means something in this call only.

        Raises:
            DeniedError: The plugin was not granted it.
            SandboxError: host.yaml has no such secret.
        """
        if name not in self.capabilities.secrets:
            raise DeniedError(
                f"The plugin {self.plugin} was not granted the secret {name!r}.",
                next_step="Its `capabilities.secrets` would have to name it, and be approved anew.",
            )
        if name not in self.secrets:
            raise SandboxError(
                f"There is no secret {name!r}.",
                next_step=f"Add `plugins.secrets.{name}: ${{VARIABLE}}` to host.yaml.",
            )
        handle = f"{HANDLE}{secrets.token_hex(16)}"
        self._handles[handle] = name
        return handle

    async def note(self, note: Log | Progress) -> None:
        """Take a log message for the plugin's log, or pass progress on."""
        if isinstance(note, Progress):
            self.path.progress(note)
        elif self.log is not None:
            self.log.write(note.level, note.message)

    def _revealed(self, name: str, arguments: Json) -> dict[str, str]:
        """Return the handles in some arguments, each checked to be where it may be."""
        found: dict[str, str] = {}
        if HANDLE not in json.dumps(arguments):
            return found
        for handle, secret in self._handles.items():
            places = [key for key, value in arguments.items() if handle in json.dumps(value)]
            grant = self.capabilities.secrets[secret]
            fits = Capabilities(tools=grant.tools).allows_tool(name)
            for key in places:
                if not fits or key not in grant.arguments or not isinstance(arguments[key], str):
                    raise DeniedError(
                        f"The secret {secret!r} may not be put into {key} of {name}.",
                        next_step="The manifest says where it may go.",
                    )
                found[handle] = self.secrets[secret]
        return found


class ComputeOnly:
    """Refuses all that a plugin may ask for elsewhere; its messages go to its log.

    Args:
        log: The plugin's log; None drops them.
        why: What it is told.
    """

    def __init__(self, log: MessageLog | None = None, why: str = "A rule may only compute") -> None:
        self._log = log
        self._why = why

    @property
    def state(self) -> StateStore:
        """A store that refuses."""
        return NoState(f"{self._why}: host.state cannot be used in it.")

    async def call_tool(self, name: str, arguments: dict[str, JSON]) -> JSON:
        """Refuse."""
        raise self._refusal(name)

    async def secret(self, name: str) -> str:
        """Refuse."""
        raise self._refusal(f"the secret {name!r}")

    async def note(self, note: Log | Progress) -> None:
        """Take a log message; nobody waits for progress."""
        if isinstance(note, Log) and self._log is not None:
            self._log.write(note.level, note.message)

    def _refusal(self, what: str) -> DeniedError:
        return DeniedError(f"{self._why}: {what} cannot be used in it.")


def unwrap_result(name: str, result: Json) -> JSON:
    """Return what a plugin gets of a tool's result: its structured content, else its text.

    Raises:
        SandboxError: The tool reported an error.
    """
    texts = [
        str(block["text"])
        for block in map(as_object, list_member(result, "content"))
        if block is not None and block.get("type") == "text"
    ]
    if result.get("isError") is True:
        raise SandboxError(f"{name} failed: {' '.join(texts)[:2000] or 'it does not say why'}")
    structured = as_object(result.get("structuredContent"))
    if structured is not None:
        wrapped = object_member(object_member(result, "_meta"), "fastmcp").get("wrap_result")
        if wrapped is True or structured.keys() == {"result"}:
            return structured["result"]
        return structured
    if len(texts) == len(list_member(result, "content")):
        return "\n".join(texts)
    return list_member(result, "content")
