"""JSON-RPC 2.0 as MCP uses it: messages are plain dicts, so that nothing unknown is lost."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard, TypeVar, cast

Json: TypeAlias = dict[str, Any]
"""One JSON object as it stood on the wire."""

RequestId: TypeAlias = int | str

_Value = TypeVar("_Value")

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
CONNECTION_CLOSED = -32000
"""Ours to use (implementation-defined range): the server went away before it answered."""
REQUEST_TIMEOUT = -32001
"""Ours to use: the server did not answer in time."""
RESOURCE_NOT_FOUND = -32002
"""Handshake era only; the stateless era answers INVALID_PARAMS."""
HEADER_MISMATCH = -32020
MISSING_CLIENT_CAPABILITY = -32021
UNSUPPORTED_PROTOCOL_VERSION = -32022
REQUEST_CANCELLED = -32800


def as_object(value: object) -> Json | None:
    """Return a value that is a JSON object; None for any other."""
    return cast("Json", value) if isinstance(value, dict) else None


class RpcError(Exception):
    """An error that travels as a JSON-RPC error object.

    Args:
        code: The JSON-RPC error code.
        message: One sentence for the reader.
        data: Anything more, as it goes on the wire; None leaves the member out.
    """

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def to_wire(self) -> Json:
        """Return the `error` member of a response."""
        body: Json = {"code": self.code, "message": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body

    @classmethod
    def from_wire(cls, error: object) -> "RpcError":
        """Read the `error` member of a response, however odd it is."""
        body = as_object(error)
        if body is None:
            return cls(INTERNAL_ERROR, f"The server gave an unreadable error: {error!r:.200}")
        code, message = body.get("code"), body.get("message")
        return cls(
            code if isinstance(code, int) and not isinstance(code, bool) else INTERNAL_ERROR,
            message if isinstance(message, str) else "The server gave no error message.",
            body.get("data"),
        )


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_ascii_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def encode(message: Json) -> bytes:
    """Return the message as one line of UTF-8 JSON, without the newline.

    Raises:
        RpcError: It holds a number that JSON has no text for (infinity, not-a-number).
    """
    try:
        try:
            return _encoder.encode(message).encode()
        except UnicodeEncodeError:  # half a surrogate pair has no UTF-8; as an escape it passes
            return _ascii_encoder.encode(message).encode()
    except (ValueError, RecursionError) as error:
        raise RpcError(
            INTERNAL_ERROR, f"The message cannot be written as JSON: {error}."
        ) from error


def decode(text: bytes | str) -> object:
    """Return the JSON value of a text.

    Raises:
        RpcError: The text is not JSON, not UTF-8, or nested too deeply.
    """
    try:
        if isinstance(text, bytes) and text[:1] == b"{" and text[1:2] != b"\0":
            # UTF-8 for sure: `json.loads` would look which of five encodings it is.
            text = text.decode("utf-8", "surrogatepass")
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RpcError(PARSE_ERROR, f"Parse error: {error}") from error


def request(request_id: RequestId, method: str, params: Json | None) -> Json:
    """Return a request message."""
    message: Json = {"jsonrpc": "2.0", "id": request_id, "method": method}
    if params is not None:
        message["params"] = params
    return message


def notification(method: str, params: Json | None) -> Json:
    """Return a notification message."""
    message: Json = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    return message


def response(request_id: RequestId | None, result: Json) -> Json:
    """Return a success response."""
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def failure(request_id: RequestId | None, error: RpcError) -> Json:
    """Return an error response."""
    return {"jsonrpc": "2.0", "id": request_id, "error": error.to_wire()}


def is_request_id(value: object) -> TypeGuard[RequestId]:
    """Whether a value may be a request id; True and False may not, though they count as int."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def find_by_id(table: Mapping[RequestId, _Value], value: object) -> _Value | None:
    """Return what a table has under an id that came from outside, where it may be anything."""
    return table.get(value) if is_request_id(value) else None
