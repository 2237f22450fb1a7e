"""The stateless era's envelope: what a request has to carry, in its body and in its headers."""

from collections.abc import Mapping
from typing import Any

from host.domain.header import decode_header_value
from host.domain.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CLIENT_CAPABILITY,
    PARSE_ERROR,
    UNSUPPORTED_PROTOCOL_VERSION,
    Json,
    RpcError,
)
from host.domain.protocol import (
    META_CLIENT_CAPABILITIES,
    META_VERSION,
    NAMED_METHODS,
    STATELESS_VERSIONS,
    meta_of,
)
from host.gateway.gateway import unsupported_version

ERROR_STATUS = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    METHOD_NOT_FOUND: 404,
    HEADER_MISMATCH: 400,
    MISSING_CLIENT_CAPABILITY: 400,
    UNSUPPORTED_PROTOCOL_VERSION: 400,
}
"""HTTP status of an error that stands alone in a response; any other is 200."""

ONLY_HANDSHAKE = frozenset(
    {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}
)
"""Methods that the stateless era does not have."""
ONLY_STATELESS = frozenset({"server/discover", "subscriptions/listen"})
"""Methods that the handshake era does not have."""


def check_envelope(method: str, params: Json, headers: Mapping[str, str] | None = None) -> None:
    """Check the envelope of a stateless request.

    Args:
        method: The request's method.
        params: Its params.
        headers: Its HTTP headers, where it came by HTTP; see `check_headers`.

    Raises:
        RpcError: Something required is missing, contradicts itself, or is not served.
    """
    meta = meta_of(params)
    missing = [key for key in (META_VERSION, META_CLIENT_CAPABILITIES) if key not in meta]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta lacks {' and '.join(missing)}.")
    if headers is not None:
        check_headers(method, params, headers)
    version = meta[META_VERSION]
    if not isinstance(version, str):
        raise RpcError(INVALID_PARAMS, f"{META_VERSION} is a text.")
    if version not in STATELESS_VERSIONS:
        raise unsupported_version(version)
    if not isinstance(meta[META_CLIENT_CAPABILITIES], dict):
        raise RpcError(INVALID_PARAMS, f"{META_CLIENT_CAPABILITIES} is an object.")
    if method in ONLY_HANDSHAKE:
        raise RpcError(METHOD_NOT_FOUND, "Method not found", method)


def check_headers(method: str, params: Json, headers: Mapping[str, str]) -> None:
    """Check that a request's headers say what its body says; whoever routes by them relies on it.

    Args:
        method: The body's method.
        params: The body's params.
        headers: By name in lower case; a header that came twice holds a line break.

    Raises:
        RpcError: They disagree.
    """
    for name in ("mcp-protocol-version", "mcp-method", "mcp-name"):
        if "\n" in headers.get(name, ""):
            raise RpcError(HEADER_MISMATCH, f"The {name} header came more than once.")
    expected: dict[str, Any] = {
        "mcp-protocol-version": meta_of(params).get(META_VERSION),
        "mcp-method": method,
    }
    key = NAMED_METHODS.get(method)
    if key is not None and params.get(key) is not None:
        expected["mcp-name"] = params[key]
    for name, value in expected.items():
        found = headers.get(name)
        if name == "mcp-name" and found is not None:
            found = decode_header_value(found)
        if found is None or found != value:
            raise RpcError(HEADER_MISMATCH, f"The {name} header and the body disagree.")
