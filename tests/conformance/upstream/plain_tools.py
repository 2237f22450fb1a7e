"""Tools that answer by themselves: every kind of content, errors, logs, progress, changes."""

import json

import anyio
from mcp.server.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)

from tests.conformance.upstream.call import Call, ToolError
from tests.conformance.upstream.content import AUDIO, IMAGE, embedded, result, text
from tests.conformance.upstream.hub import JSON
from tests.conformance.upstream.tool import properties, tool


@tool("test_simple_text", "Answers with one text.")
async def simple_text(call: Call) -> JSON:
    return result(text("This is a simple text response for testing."))


@tool("test_image_content", "Answers with one image.")
async def image_content(call: Call) -> JSON:
    return result(IMAGE)


@tool("test_audio_content", "Answers with one audio clip.")
async def audio_content(call: Call) -> JSON:
    return result(AUDIO)


@tool("test_embedded_resource", "Answers with one embedded resource.")
async def embedded_resource(call: Call) -> JSON:
    return result(embedded("test://embedded-resource", "This is an embedded resource content."))


@tool("test_multiple_content_types", "Answers with text, image and resource.")
async def multiple_content_types(call: Call) -> JSON:
    data = json.dumps({"test": "data", "value": 123})
    resource = embedded("test://mixed-content-resource", data, mime="application/json")
    return result(text("Multiple content types test:"), IMAGE, resource)


@tool("test_resource_link", "Answers with a link to a resource.")
async def resource_link(call: Call) -> JSON:
    link = {"type": "resource_link", "uri": "test://static-text", "name": "static-text"}
    return result({**link, "mimeType": "text/plain", "annotations": {"priority": 0.5}})


@tool("test_error_handling", "Always answers with an error result.")
async def error_handling(call: Call) -> JSON:
    raise ToolError("This tool intentionally returns an error for testing")


async def _log_thrice(call: Call) -> JSON:
    await call.log("Tool execution started")
    await anyio.sleep(0.05)
    await call.log("Tool processing data")
    await anyio.sleep(0.05)
    await call.log("Tool execution completed")
    return result(text("Logged three messages."))


tool("test_tool_with_logging", "Logs three messages at level info.")(_log_thrice)
tool("test_logging_tool", "Logs three messages at level info.")(_log_thrice)


@tool("test_tool_with_progress", "Reports progress 0, 50 and 100 of 100.")
async def with_progress(call: Call) -> JSON:
    await call.progress(0, 100, "started")
    await anyio.sleep(0.05)
    await call.progress(50, 100, "half way")
    await anyio.sleep(0.05)
    await call.progress(100, 100, "done")
    return result(text("Reported progress three times."))


@tool(
    "test_slow",
    "Sleeps, reporting progress ten times; counts calls that were cancelled.",
    properties("seconds", seconds="number"),
)
async def slow(call: Call) -> JSON:
    seconds = float(call.arguments["seconds"])
    try:
        for step in range(10):
            await call.progress(step, 10)
            await anyio.sleep(seconds / 10)
    except anyio.get_cancelled_exc_class():
        call.hub.cancelled_calls += 1
        raise
    return result(text(f"Slept {seconds} s."))


@tool("test_cancelled_calls", "Answers how many calls of test_slow were cancelled.")
async def cancelled_calls(call: Call) -> JSON:
    count = call.hub.cancelled_calls
    return result(text(str(count)), structuredContent={"cancelled": count})


@tool("test_reconnection", "Closes the stream of the call before it answers on a resumed one.")
async def reconnection(call: Call) -> JSON:
    if call.ctx.close_sse_stream is not None:
        await call.ctx.close_sse_stream()
    await anyio.sleep(0.1)
    return result(text("Answered after the stream was closed."))


@tool(
    "touch_resource",
    "Changes a resource and tells its subscribers.",
    properties("uri", uri="string"),
)
async def touch_resource(call: Call) -> JSON:
    uri = call.arguments["uri"]
    call.hub.touches[uri] = call.hub.touches.get(uri, 0) + 1
    await call.hub.publish(ResourceUpdated(uri=uri))
    return result(text(f"{uri} changed."))


@tool("test_trigger_tool_change", "Adds or removes the tool test_extra.")
async def trigger_tool_change(call: Call) -> JSON:
    call.hub.extra_tool = not call.hub.extra_tool
    await call.hub.publish(ToolsListChanged())
    return result(text("The list of tools changed."))


@tool("test_trigger_prompt_change", "Adds or removes the prompt test_extra_prompt.")
async def trigger_prompt_change(call: Call) -> JSON:
    call.hub.extra_prompt = not call.hub.extra_prompt
    await call.hub.publish(PromptsListChanged())
    return result(text("The list of prompts changed."))


@tool("test_trigger_resource_change", "Adds or removes the resource test://extra.")
async def trigger_resource_change(call: Call) -> JSON:
    call.hub.extra_resource = not call.hub.extra_resource
    await call.hub.publish(ResourcesListChanged())
    return result(text("The list of resources changed."))
