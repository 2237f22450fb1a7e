"""Turns a worker's checked frames into calls on the broker, and its declarations into data."""

from typing import Any, cast

from host.sandbox import wire
from host.sandbox.broker import JSON, Broker, Log, Progress

_LEVELS = ("debug", "info", "warning", "error")
_KINDS = ("tool", "hook", "evaluator", "rule")
_MOST_FUNCTIONS = 256
_DECLARATION: wire.Shape = {
    "name": str,
    "kind": str,
    "description": str,
    "parameters": dict,
    "options": dict,
}


async def answer(broker: Broker, operation: str, params: dict[str, Any]) -> JSON:
    """Has the broker carry out one request; `wire.check_frame` has checked its form."""
    match operation:
        case "call_tool":
            return await broker.call_tool(params["name"], params["arguments"])
        case "secret":
            return await broker.secret(params["name"])
        case "state_get":
            return await broker.state.get(params["key"])
        case "state_set":
            return await broker.state.set(params["key"], params["value"])
        case "state_delete":
            return await broker.state.delete(params["key"])
        case _:
            return list(await broker.state.keys(params["prefix"]))


def read_note(frame: dict[str, Any]) -> Log | Progress:
    """Reads a log or progress frame.

    Raises:
        FrameError: A log frame with a level that there is not.
    """
    if frame["t"] == "progress":
        return Progress(frame["done"], frame["total"], frame["message"])
    if frame["level"] not in _LEVELS:
        msg = "a log frame of no known level"
        raise wire.FrameError(msg)
    return Log(frame["level"], frame["message"])


def read_functions(declared: list[Any]) -> list[dict[str, Any]]:
    """Checks what a plugin says it declares.

    Raises:
        FrameError: An entry of another form, a name that is no identifier, or too many.
    """
    if len(declared) > _MOST_FUNCTIONS:
        msg = f"{len(declared)} declarations; at most {_MOST_FUNCTIONS} are allowed"
        raise wire.FrameError(msg)
    for entry in declared:
        if type(entry) is not dict:
            msg = "a declaration that is no object"
            raise wire.FrameError(msg)
        known = cast("dict[str, Any]", entry)
        wire.check_shape(known, _DECLARATION, what="declaration", surplus=0)
        _check_parameters(known["parameters"])
        if known["kind"] not in _KINDS or not known["name"].isidentifier():
            msg = "a declaration with an unusable name or kind"
            raise wire.FrameError(msg)
    if len({entry["name"] for entry in declared}) < len(declared):
        msg = "two declarations of one name"
        raise wire.FrameError(msg)
    return declared


def _check_parameters(schema: dict[str, Any]) -> None:
    """See that a schema has the members that the host itself reads, in their form.

    Raises:
        FrameError: It has not.
    """
    properties, required = schema.get("properties", {}), schema.get("required", [])
    named = isinstance(properties, dict) and all(
        isinstance(one, dict) for one in cast("dict[str, object]", properties).values()
    )
    listed = isinstance(required, list) and all(
        isinstance(one, str) for one in cast("list[object]", required)
    )
    if not named or not listed or schema.get("type") != "object":
        msg = "a declaration whose parameters are no schema of an object"
        raise wire.FrameError(msg)
