"""Length-prefixed JSON between the host and a worker, checked as if every frame were an attack."""

import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, cast

HEADER = struct.Struct(">I")
MAX_DEPTH = 64
"""Deepest nesting of arrays and objects; far below any recursion limit that reads it later."""

MAX_DIGITS = 320
"""Longest number literal, in characters."""


class FrameError(ValueError):
    """The other end sent bytes that are not a frame; nothing more is read from it."""


class FrameReader:
    """Cuts a byte stream into payloads.

    Args:
        max_bytes: Largest payload accepted.
    """

    __slots__ = ("_buffer", "_max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._buffer = bytearray()
        self._max_bytes = max_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Adds received bytes and returns the payloads that are now complete.

        Raises:
            FrameError: A frame announces more bytes than are allowed, or none.
        """
        size = len(data)
        if not self._buffer and size >= 4:  # one whole frame in one read: no copy into the buffer
            (length,) = HEADER.unpack_from(data)
            if length == size - 4 and 0 < length <= self._max_bytes:
                return [data[4:]]
        self._buffer += data
        return self._cut()

    def _cut(self) -> list[bytes]:
        payloads: list[bytes] = []
        buffer, start = self._buffer, 0
        while len(buffer) - start >= 4:
            (length,) = HEADER.unpack_from(buffer, start)
            if not 0 < length <= self._max_bytes:
                msg = f"a frame of {length} bytes; 1 to {self._max_bytes} are allowed"
                raise FrameError(msg)
            if len(buffer) - start - 4 < length:
                break
            payloads.append(bytes(buffer[start + 4 : start + 4 + length]))
            start += 4 + length
        del buffer[:start]
        return payloads


def encoder(default: Callable[[Any], Any] | None = None) -> Callable[[object], str]:
    """Returns the function that renders JSON text; `default` renders what JSON has no form for."""
    return json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default
    ).encode


_encode = encoder()


def pack(frame: object, *, encode: Callable[[object], str] = _encode) -> bytes:
    """Renders one frame with its length in front.

    Raises:
        ValueError: A value has no JSON form: a NaN, a cycle, a lone surrogate.
        TypeError: A value is of a type that JSON does not know.
    """
    payload = encode(frame).encode()
    return HEADER.pack(len(payload)) + payload


def _refuse_constant(text: str) -> NoReturn:
    msg = f"{text} is not JSON"
    raise FrameError(msg)


def _bounded_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        msg = f"a number of {len(text)} digits"
        raise FrameError(msg)
    return int(text)


def _finite_float(text: str) -> float:
    value = float(text) if len(text) <= MAX_DIGITS else math.inf
    if not math.isfinite(value):
        msg = "a number that no float holds"
        raise FrameError(msg)
    return value


_decode = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_bounded_int, parse_float=_finite_float
).decode


def unpack(payload: bytes) -> dict[str, Any]:
    """Parses one payload into an object that is safe to hand on.

    Raises:
        FrameError: Not UTF-8, not JSON, not an object, too deep, a number out of bounds, or a
            string that cannot be encoded again (a lone surrogate would crash a later writer).
    """
    try:
        text = payload.decode()
        frame: object = _decode(text)
    except FrameError:
        raise
    except (ValueError, RecursionError) as error:
        msg = f"not JSON: {type(error).__name__}"
        raise FrameError(msg) from None
    if type(frame) is not dict:
        msg = "not a JSON object"
        raise FrameError(msg)
    known = cast("dict[str, Any]", frame)
    if payload.count(b"{") + payload.count(b"[") > MAX_DEPTH:
        _check_depth(known)
    if "\\u" in text or "\\U" in text:
        _check_encodable(text)
    return known


def _check_depth(frame: object) -> None:
    level: list[Any] = [frame]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            below += value.values() if isinstance(value, dict) else value
        level = [value for value in below if isinstance(value, dict | list)]
        if not level:
            return
    msg = f"nested deeper than {MAX_DEPTH}"
    raise FrameError(msg)


def _check_encodable(text: str) -> None:
    try:
        _encode(_decode(text)).encode()
    except UnicodeEncodeError:
        msg = "a string with a lone surrogate"
        raise FrameError(msg) from None


Shape = Mapping[str, type | tuple[type, ...]]

WORKER_FRAMES: Mapping[str, Shape] = {
    "hello": {"layers": dict},
    "compiled": {"code": str},
    "loaded": {"functions": list, "out": str},
    "refused": {"kind": str, "message": str, "findings": list},
    "result": {"id": int, "value": object, "out": str},
    "error": {"id": int, "kind": str, "message": str, "trace": list, "out": str},
    "request": {"id": int, "op": str, "params": dict},
    "log": {"level": str, "message": str},
    "progress": {"done": (int, float), "total": (int, float, type(None)), "message": str},
    "print": {"text": str},
}
"""Every frame a worker may send: its exact fields and their types."""

OPERATIONS: Mapping[str, Shape] = {
    "call_tool": {"name": str, "arguments": dict},
    "state_get": {"key": str},
    "state_set": {"key": str, "value": object},
    "state_delete": {"key": str},
    "state_list": {"prefix": str},
    "secret": {"name": str},
}
"""Every request a worker may make of its broker."""


def check_frame(frame: dict[str, Any]) -> str:
    """Checks a worker's frame against its shape and returns its kind.

    Raises:
        FrameError: An unknown kind, a missing or surplus field, or a field of another type.
    """
    kind = frame.get("t")
    shape = WORKER_FRAMES.get(kind) if type(kind) is str else None
    if shape is None or type(kind) is not str:
        msg = "a frame of no known kind"
        raise FrameError(msg)
    check_shape(frame, shape, what=kind, surplus=1)
    if kind == "request":
        operation = OPERATIONS.get(frame["op"])
        if operation is None:
            msg = "a request for no known operation"
            raise FrameError(msg)
        check_shape(frame["params"], operation, what=frame["op"], surplus=0)
    return kind


def check_shape(frame: dict[str, Any], shape: Shape, *, what: str, surplus: int) -> None:
    """Checks that an object has exactly the fields of a shape, and `surplus` others.

    Raises:
        FrameError: A missing or surplus field, or a field of another type.
    """
    if len(frame) != len(shape) + surplus:
        msg = f"a {what} frame with other fields than {', '.join(shape)}"
        raise FrameError(msg)
    for field, expected in shape.items():
        if field not in frame:
            msg = f"a {what} frame without {field}"
            raise FrameError(msg)
        value = frame[field]
        if isinstance(value, bool) and expected is not object:  # True is an int to isinstance
            msg = f"a {what} frame whose {field} is a truth value"
            raise FrameError(msg)
        if not isinstance(value, expected):
            msg = f"a {what} frame whose {field} is a {type(value).__name__}"
            raise FrameError(msg)
