"""What the command line asks the daemon about pins, which only the daemon reads and writes."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from host.domain.errors import NotFoundError
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import list_member
from host.pins.book import Choice
from host.pins.check import check_definition
from host.pins.first_sight import find_same_names
from host.pins.record import Pin, pin_key

if TYPE_CHECKING:
    from host.app import Host

BY = "terminal"
"""Who answers through the daemon's private socket, as records name them."""


def answer_about_pins(host: "Host", method: str, params: Json) -> Any:  # noqa: ANN401 - any JSON
    """Carry out a command about pins.

    Raises:
        NotFoundError: There is no such command, tool or server.
        ConfigError: What is to be accepted says something else by now.
    """
    if method == "pins.list":
        return [_describe(host, server, pin) for server, pin in _named(host, params.get("names"))]
    if method not in ("pins.accept", "pins.reject"):
        raise NotFoundError("command", method, ["pins.list", "pins.accept", "pins.reject"])
    found = [as_object(each) or {} for each in list_member(params, "choices")]
    choices = [Choice(str(c["server"]), str(c["key"]), str(c["digest"])) for c in found]
    answer = host.pins.accept if method == "pins.accept" else host.pins.reject
    answered = answer(choices, BY)
    host.gateway.changed()
    return [pin.shown for pin in answered]


def _named(host: "Host", names: object) -> list[tuple[str, Pin]]:
    """Return the pins of the given names; without names those that wait.

    A server's name stands for what waits of it, else for all of it.
    """
    if not isinstance(names, list) or not names:
        return host.pins.waiting()
    known, waiting = host.pins.pins(), host.pins.waiting()
    found: list[tuple[str, Pin]] = []
    for name in map(str, cast("list[object]", names)):
        if name in host.servers or name in {_bare(server) for server, _ in known}:
            mine = [one for one in waiting if name in (one[0], _bare(one[0]))]
            found += mine or [one for one in known if name in (one[0], _bare(one[0]))]
            continue
        matching = [one for one in known if one[1].shown == name]
        if not matching:
            shown = [pin.shown for _, pin in known]
            raise NotFoundError("pinned tool, prompt or server", name, [*shown, *host.servers])
        found += matching
    return found


def _bare(owner: str) -> str:
    """Return a server's name, without what tells projects' servers of that name apart."""
    return owner.partition(".")[0]


def _describe(host: "Host", server: str, pin: Pin) -> Json:
    """Return what a person has to know of a pin."""
    said = pin.offered or pin.accepted
    definition = {} if said is None else said.definition
    same = find_same_names(server, pin, host.pins.pins())
    return {
        "server": server,
        "key": pin_key(pin.kind, pin.name),
        "standing": pin.standing,
        "digest": None if said is None else said.digest,
        "findings": [asdict(each) for each in check_definition(definition)],
        "same_names": same,
        **pin.model_dump(mode="json"),
    }
