"""What a plugin sees as `host` and `tools`: objects whose every use is a message to the host."""

from collections.abc import Mapping, Sequence
from typing import Any

from host.sandbox.process import channel
from host.sandbox.process.channel import Channel

LEVELS = ("debug", "info", "warning", "error")


class HostFacade:
    """`host` inside a plugin."""

    __slots__ = ("_channel", "_notes", "state")

    CallError = channel.CallError
    """What a refused or failed brokered call raises."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._notes = [0, 0]  # left in this call, allowed a call
        self.state = StateFacade(channel)

    def allow(self, notes: int) -> None:
        """Sets how many log and progress messages one call may send."""
        self._notes[:] = notes, notes

    def begin(self) -> None:
        """Starts a call with the whole allowance of notes."""
        self._notes[0] = self._notes[1]

    def call_tool(self, name: str, /, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Calls a catalog tool and returns its result."""
        return self._channel.request("call_tool", name=_text(name, "a tool"), arguments=arguments)

    def call_tools(self, calls: Sequence[tuple[str, dict[str, object]]], /) -> list[Any]:
        """Calls several tools at once; each answer is a result or a `host.CallError`."""
        return self._channel.request_all(
            [
                ("call_tool", {"name": _text(name, "a tool"), "arguments": _named(args)})
                for name, args in calls
            ]
        )

    def log(self, message: object, *, level: str = "info") -> None:
        """Writes to the plugin's log."""
        if level not in LEVELS:
            msg = f"level is {level!r}; use {', '.join(LEVELS)}"
            raise ValueError(msg)
        self._note({"t": "log", "level": level, "message": str(message)})

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tells the caller how far the work is."""
        for number in (done,) if total is None else (done, total):
            if type(number) not in (int, float):
                msg = f"progress takes numbers, not {type(number).__name__}"
                raise TypeError(msg)
        self._note({"t": "progress", "done": done, "total": total, "message": str(message)})

    def secret(self, name: str) -> str:
        """Returns an opaque handle that a brokered call can carry."""
        return self._channel.request("secret", name=_text(name, "a secret"))

    def _note(self, frame: Mapping[str, object]) -> None:
        if self._notes[0] <= 0:
            msg = f"more than {self._notes[1]} log and progress messages in one call"
            raise channel.CallError(msg, "LimitError")
        self._notes[0] -= 1
        self._channel.send(frame)


class StateFacade:
    """`host.state` inside a plugin."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 - JSON
        """Returns the value under `key`, or `default`."""
        value = self._channel.request("state_get", key=_text(key, "a key"))
        return default if value is None else value

    def set(self, key: str, value: object) -> None:
        """Stores a JSON value under `key`."""
        self._channel.request("state_set", key=_text(key, "a key"), value=value)

    def delete(self, key: str) -> bool:
        """Removes `key`; returns whether it was there."""
        return bool(self._channel.request("state_delete", key=_text(key, "a key")))

    def list(self, prefix: str = "") -> list[str]:
        """Lists the keys that start with `prefix`."""
        return self._channel.request("state_list", prefix=_text(prefix, "a prefix"))


def _text(value: object, what: str) -> str:
    """Return a name as it is; the host takes anything else for a forged message."""
    if isinstance(value, str):
        return value
    msg = f"{what} is named by text, not by {type(value).__name__}"
    raise TypeError(msg)


def _named(arguments: Mapping[str, object]) -> dict[str, object]:
    return {_text(name, "an argument"): value for name, value in dict(arguments).items()}


Servers = Mapping[str, Mapping[str, Sequence[str]]]
"""Module to function to what it calls: a catalog name, then the names of its parameters."""


def tool_modules(facade: HostFacade, servers: Servers) -> dict[str, dict[str, Any]]:
    """Returns the modules that a plugin can import as `tools.SERVER`: their tools as functions."""
    return {
        f"tools.{server}": {
            function: _stub(facade, called[0], called[1:]) for function, called in tools.items()
        }
        for server, tools in servers.items()
    }


def _stub(facade: HostFacade, name: str, parameters: Sequence[str]) -> Any:  # noqa: ANN401
    def call(*values: object, **named: object) -> object:
        if len(values) > len(parameters):
            msg = f"{name} takes {len(parameters)} arguments, {len(values)} were given"
            raise TypeError(msg)
        return facade.call_tool(name, **dict(zip(parameters, values, strict=False)), **named)

    call.__name__ = name
    return call
