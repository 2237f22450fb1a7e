"""MCP's revisions and reserved names, as facts that need no import of the SDK.

A test holds them to the tables of the `mcp` package.
"""

from typing import Any, cast

from host.domain.jsonrpc import UNSUPPORTED_PROTOCOL_VERSION, Json, RpcError, as_object

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Revisions that begin with `initialize`, oldest first."""
STATELESS_VERSIONS = ("2026-07-28",)
"""Revisions whose every request carries its own envelope."""
LATEST_HANDSHAKE = HANDSHAKE_VERSIONS[-1]
LATEST_STATELESS = STATELESS_VERSIONS[-1]

META_VERSION = "io.modelcontextprotocol/protocolVersion"
META_CLIENT_INFO = "io.modelcontextprotocol/clientInfo"
META_CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
META_LOG_LEVEL = "io.modelcontextprotocol/logLevel"
META_SERVER_INFO = "io.modelcontextprotocol/serverInfo"
META_MISSING = "host/missing"
"""Of a merged list: server → why its entries are not in it."""
META_WRONG = "host/wrong"
"""Of a failed result: nothing was done, because what was asked for is wrong or not there."""
META_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
ENVELOPE_KEYS = (META_VERSION, META_CLIENT_INFO, META_CLIENT_CAPABILITIES, META_LOG_LEVEL)

NAME_PARAMETER = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Methods whose target is mirrored in the `Mcp-Name` header, and the parameter that names it."""

INTERACTIVE_METHODS = frozenset(NAME_PARAMETER)
"""Methods that may be answered by `input_required` in the stateless era."""

TASK_METHODS = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})
"""Methods of the tasks extension; each names a task."""
NAMED_METHODS = {**NAME_PARAMETER, **dict.fromkeys(sorted(TASK_METHODS), "taskId")}
"""What `Mcp-Name` mirrors, with the methods of extensions."""
TASKS_EXTENSION = "io.modelcontextprotocol/tasks"

LIST_METHODS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
"""List method → the member of its result that holds the entries."""

KNOWN_METHODS = frozenset(
    {
        *NAME_PARAMETER,
        *LIST_METHODS,
        *("initialize", "ping", "server/discover", "completion/complete", "logging/setLevel"),
        *("resources/subscribe", "resources/unsubscribe", "subscriptions/listen"),
        *("tasks/get", "tasks/result", "tasks/list", "tasks/cancel", "tasks/update"),
    }
)
"""Requests of clients by the names that the revisions know; others are extensions or mistakes."""

LISTEN_KINDS = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}
"""Change notification → the member of a listen filter that asks for it."""

CLIENT_METHODS = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
"""What a server may ask of a client, and the capability by which the client says it answers."""

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


def meta_of(params: Json | None) -> Json:
    """Return the `_meta` object of some params, or an empty one."""
    return object_member(params, "_meta")


def has_envelope(params: Json | None) -> bool:
    """Whether a request carries the stateless era's envelope."""
    return META_VERSION in meta_of(params)


def object_member(value: object, key: str) -> Json:
    """Return `value[key]` where both are objects, else an empty object."""
    inner = cast("Json", value).get(key) if isinstance(value, dict) else None
    return cast("Json", inner) if isinstance(inner, dict) else {}


def list_member(value: object, key: str) -> list[Any]:
    """Return `value[key]` where it is a list, else an empty list."""
    outer = as_object(value)
    inner: object = outer.get(key) if outer else None
    return cast("list[Any]", inner) if isinstance(inner, list) else []


def names_our_version(refusal: RpcError) -> bool:
    """Whether a server that refused a protocol version named one that is spoken here."""
    named = list_member(as_object(refusal.data) or {}, "supported")
    ours = any(version in STATELESS_VERSIONS for version in named)
    return refusal.code == UNSUPPORTED_PROTOCOL_VERSION and ours
