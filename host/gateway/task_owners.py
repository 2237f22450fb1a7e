"""Whose the tasks of other servers are: where they run, and the principal whose calls they were."""

from collections import OrderedDict
from dataclasses import dataclass

from host.domain.jsonrpc import INVALID_PARAMS, Json, RpcError
from host.domain.protocol import object_member
from host.gateway.exchange import Exchange

LIMIT = 10_000
"""Tasks whose server is remembered; beyond it the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class _Owner:
    server: str
    principal: str


class TaskOwners:
    """What calls became tasks."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, _Owner] = OrderedDict()

    def note(self, exchange: Exchange, server: str, result: Json) -> None:
        """Remember whose task a call became, so that questions about it find their server.

        The first who had it keeps it: a server cannot make another's task its own by its id.
        """
        task_id = object_member(result, "task").get("taskId") or result.get("taskId")
        if not isinstance(task_id, str):
            return
        self._owners.setdefault(task_id, _Owner(server, exchange.session.principal.id))
        while len(self._owners) > LIMIT:
            self._owners.popitem(last=False)

    def server_of(self, exchange: Exchange, task_id: str) -> str | None:
        """Return the server that runs a task; None for one that is not known.

        Raises:
            RpcError: It is another principal's, who alone gets to know that it exists.
        """
        owner = self._owners.get(task_id)
        if owner is not None and owner.principal != exchange.session.principal.id:
            text = f"There is no task {task_id!r}."
            raise RpcError(INVALID_PARAMS, text, {"taskId": task_id})
        return None if owner is None else owner.server
