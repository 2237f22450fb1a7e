"""Tests what a server offers beside tools: resources and their templates, prompts, instructions."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from host.probe.definitions import add_suspicions, check_duplicates

if TYPE_CHECKING:
    from host.probe.session import Session

MOST_READ = 20
"""Most resources that are read, and most prompts that are got, in one era."""
NOWHERE = "nowhere://no/such/resource/anywhere"


async def try_rest(session: "Session") -> None:
    """Look at instructions, resources and prompts; read and get them unless nothing is called."""
    client = session.client
    if client.instructions:
        definition = {"instructions": client.instructions}
        add_suspicions(session.report, "instructions", definition)
    offered = client.server_capabilities
    if offered is not None and offered.resources is not None:
        await _try_resources(session)
    if offered is not None and offered.prompts is not None:
        await _try_prompts(session)


async def _try_resources(session: "Session") -> None:
    resources = await session.listed("resources/list", session.client.list_resources)
    templates = await session.listed(
        "resources/templates/list", session.client.list_resource_templates
    )
    session.report.resources = len(resources) + len(templates)
    check_duplicates(session.report, [str(one.get("uri")) for one in resources], "resources")
    for one in (*resources, *templates):
        _check_resource(session, one)
    if session.options.call_nothing:
        return
    for one in resources[:MOST_READ]:
        await _read(session, str(one.get("uri")))
    await session.refused(
        "a resource that does not exist", lambda: session.client.read_resource(NOWHERE)
    )


def _check_resource(session: "Session", one: dict[str, Any]) -> None:
    uri = str(one.get("uri") or one.get("uriTemplate") or "")
    add_suspicions(session.report, uri, one)
    try:
        named = bool(urlsplit(uri).scheme)
    except ValueError:
        named = False
    if not named:
        session.add("error", "name", uri or "(no URI)", "Its URI has no scheme.")
    if not str(one.get("description") or "").strip():
        session.add("note", "description", uri, "It has no description.")


async def _read(session: "Session", uri: str) -> None:
    problem = await session.tried(uri, lambda: session.client.read_resource(uri))
    if problem:
        session.add("warning", "read", uri, f"It is listed and cannot be read: {problem}")


async def _try_prompts(session: "Session") -> None:
    prompts = await session.listed("prompts/list", session.client.list_prompts)
    session.report.prompts = len(prompts)
    check_duplicates(session.report, [str(one.get("name")) for one in prompts], "prompts")
    for one in prompts:
        name = str(one.get("name"))
        add_suspicions(session.report, name, one)
        if not str(one.get("description") or "").strip():
            session.add("warning", "description", name, "It has no description.")
    if session.options.call_nothing:
        return
    for one in prompts[:MOST_READ]:
        await _get(session, one)
    await session.refused(
        "a prompt that does not exist",
        lambda: session.client.get_prompt("no_such_prompt_anywhere", {}),
    )


async def _get(session: "Session", prompt: dict[str, Any]) -> None:
    name, client = str(prompt["name"]), session.client
    arguments: list[dict[str, Any]] = prompt.get("arguments") or []
    needed = [str(one["name"]) for one in arguments if one.get("required")]
    problem = await session.tried(name, lambda: client.get_prompt(name, dict.fromkeys(needed, "1")))
    if problem:
        session.add("note", "read", name, f"It refuses simple arguments: {problem}")
    if needed:
        await session.refused(f"{name} without {needed[0]!r}", lambda: client.get_prompt(name, {}))
