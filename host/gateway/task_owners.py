"""Whose the tasks of other servers are: where they run, and the principal whose calls they were."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from host.domain.jsonrpc import INVALID_PARAMS, Json, RpcError
from host.domain.protocol import object_member
from host.gateway.exchange import Exchange
from host.gateway.upstream.link import Link

LIMIT = 10_000
"""Tasks whose server is remembered; beyond it the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class TaskOwner:
    """Where a task runs.

    Attributes:
        server: The server's name.
        own: The task's id there.
        principal: Whose call it was; None where that is not remembered.
    """

    server: str
    own: str
    principal: str | None = None


@dataclass(frozen=True, slots=True)
class TaskPlace:
    """The connection to the server of a task, and the task's id there."""

    link: Link
    own: str


class TaskOwners:
    """What calls became tasks, by the ids that clients know them by.

    That is the server's own, so that nothing in between is changed without need. Where the host's
    own tasks have such ids, as at a server that is a host, or another server's task has the same,
    the server's name comes before it.

    Args:
        reserved: Whether the host's own tasks have ids like one.
    """

    def __init__(self, reserved: Callable[[Exchange, str], bool]) -> None:
        self._reserved = reserved
        self._owners: OrderedDict[str, TaskOwner] = OrderedDict()
        self._names: dict[tuple[str, str], str] = {}

    def named(self, exchange: Exchange, server: str, result: Json) -> Json:
        """Return a result as the client gets it, with its task's id as the client will know it.

        The first who had a task keeps it: a server cannot make another's its own by its id.

        Args:
            exchange: The call that it answers.
            server: Whose result it is.
            result: It.
        """
        inner = object_member(result, "task").get("taskId")
        own = inner or result.get("taskId")
        if not isinstance(own, str):
            return result
        name = self._name(exchange, server, own)
        if name == own:
            return result
        return result | (
            {"task": {**result["task"], "taskId": name}} if inner else {"taskId": name}
        )

    def find(self, exchange: Exchange, name: str) -> TaskOwner | None:
        """Return where a task runs; None for one that is not known.

        Raises:
            RpcError: It is another principal's, who alone gets to know that it exists.
        """
        owner = self._owners.get(name)
        if owner is None:
            # One of before a restart, whose id tells where it was from; it cannot be guessed.
            server, _, own = name.partition(":")
            return TaskOwner(server, own) if self._reserved(exchange, own) else None
        if owner.principal != exchange.session.principal.id:
            raise RpcError(INVALID_PARAMS, f"There is no task {name!r}.", {"taskId": name})
        return owner

    def _name(self, exchange: Exchange, server: str, own: str) -> str:
        known = self._names.get((server, own))
        if known is not None:
            return known
        name = f"{server}:{own}" if self._reserved(exchange, own) else own
        while name in self._owners:
            name = f"{server}:{name}"
        self._owners[name] = TaskOwner(server, own, exchange.session.principal.id)
        self._names[server, own] = name
        while len(self._owners) > LIMIT:
            _, old = self._owners.popitem(last=False)
            del self._names[old.server, old.own]
        return name
