"""The worker's end of the wire: blocking reads and writes, captured output, brokered requests."""

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any
from uuid import UUID

from host.sandbox import wire
from host.sandbox.process.seccomp import WIRE_FD

_READ_BYTES = 65536
_CUT = "\n[output cut off here]\n"

_RENDERED: Sequence[tuple[type, Callable[[Any], object]]] = (
    (Enum, lambda value: value.value),
    (datetime, datetime.isoformat),
    (date, date.isoformat),
    (time, time.isoformat),
    (Decimal, str),
    (Fraction, str),
    (UUID, str),
    (set, list),
    (frozenset, list),
)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        # Not `asdict`: it asks what it finds inside how that wants to be copied.
        return {field.name: getattr(value, field.name) for field in fields(value)}
    for kind, render in _RENDERED:
        if isinstance(value, kind):
            return render(value)
    msg = f"{type(value).__name__} has no JSON form; return str, int, float, bool, list or dict"
    raise TypeError(msg)


_encode = wire.encoder(_plain)
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % (wire.MAX_DIGITS + 1))


def _check_readable(data: bytes) -> None:
    """Raise for what the host would not read: it takes that for an attack, and not for a mistake.

    Raises:
        ValueError: A number is too long, or something is nested too deep.
    """
    try:
        wire.unpack(data[wire.HEADER.size :])
    except wire.FrameError as error:
        most = f"{wire.MAX_DIGITS} digits and {wire.MAX_DEPTH} levels"
        msg = f"{error} cannot be sent; at most {most} can"
        raise ValueError(msg) from None


class CallCancelledError(BaseException):
    """The caller gave up; derived from BaseException so that `except Exception` lets it pass."""


class CallError(Exception):
    """A brokered call was refused or failed; `kind` names the host's error."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class Output:
    """Stands in for `sys.stdout` and `sys.stderr`; keeps at most `limit` characters a call."""

    encoding = "utf-8"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Characters a call."""
        self._left = limit
        self._pieces: list[str] = []

    def write(self, text: str) -> int:
        """Keeps `text` as far as the limit allows."""
        if self._left > 0:
            piece = text[: self._left].encode("utf-8", "replace").decode()
            self._pieces.append(piece if len(text) <= self._left else piece + _CUT)
            self._left -= len(text)
        return len(text)

    def flush(self) -> None:
        """Does nothing: output travels with the next frame."""

    def take(self) -> str:
        """Returns what was kept since the last time."""
        text = "".join(self._pieces)
        self._pieces.clear()
        return text

    def begin(self) -> None:
        """Starts a call with the whole allowance."""
        self._pieces.clear()
        self._left = self.limit


class Channel:
    """Sends and receives frames over the one descriptor a worker has."""

    def __init__(self) -> None:
        self._reader = wire.FrameReader(1 << 30)  # the host is trusted; it bounds its own frames
        self._inbox: list[bytes] = []
        self._last_id = 0
        self.frame_bytes = 1 << 20
        self.concurrency = 1
        self.output = Output(0)

    def send(self, frame: object) -> None:
        """Sends one frame, blocking while the host reads slowly.

        Raises:
            ValueError: The frame is too large, or holds what JSON has no form for.
            TypeError: A value is of a type that JSON does not know.
        """
        data = wire.pack(frame, encode=_encode)
        if len(data) > self.frame_bytes:
            msg = f"a message of {len(data)} bytes; at most {self.frame_bytes} are allowed"
            raise ValueError(msg)
        if _LONG_NUMBER.search(data) or data.count(b"{") + data.count(b"[") > wire.MAX_DEPTH:
            _check_readable(data)
        self.write(data)

    def write(self, data: bytes) -> None:
        """Writes all of it."""
        sent = os.write(WIRE_FD, data)
        while sent < len(data):
            sent += os.write(WIRE_FD, data[sent:])

    def receive(self) -> dict[str, Any]:
        """Waits for the next frame; ends the process when the host has gone."""
        while not self._inbox:
            data = os.read(WIRE_FD, _READ_BYTES)
            if not data:
                os._exit(0)
            self._inbox += self._reader.feed(data)
        return json.loads(self._inbox.pop(0))

    def request(self, operation: str, **params: object) -> Any:  # noqa: ANN401 - JSON
        """Makes one brokered request and waits for its answer.

        Raises:
            CallError: The host refused, or the call failed.
        """
        (outcome,) = self.request_all([(operation, params)])
        if isinstance(outcome, CallError):
            raise outcome
        return outcome

    def request_all(self, requests: Sequence[tuple[str, dict[str, object]]]) -> list[Any]:
        """Makes several requests at once; returns answers or errors in the order asked."""
        printed = self.output.take()
        if printed:
            self.send({"t": "print", "text": printed})
        answers: dict[int, Any] = {}
        order: list[int] = []
        for operation, params in requests:
            while len(order) - len(answers) >= self.concurrency:
                self._await_reply(answers)
            self._last_id += 1
            order.append(self._last_id)
            self.send({"t": "request", "id": self._last_id, "op": operation, "params": params})
        while len(answers) < len(order):
            self._await_reply(answers)
        return [answers[number] for number in order]

    def _await_reply(self, answers: dict[int, Any]) -> None:
        frame = self.receive()
        if frame["t"] == "cancel":
            raise CallCancelledError
        if frame["t"] == "reply" and "error" in frame:
            answers[frame["id"]] = CallError(frame["error"], frame["kind"])
        elif frame["t"] == "reply":
            answers[frame["id"]] = frame["ok"]
