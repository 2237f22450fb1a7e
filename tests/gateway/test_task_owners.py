"""Tasks of several servers are told apart, whatever ids these give them."""

import pytest

from host.domain.jsonrpc import Json, RpcError
from host.domain.principal import Principal
from host.gateway.exchange import Exchange, QuietExchange, QuietSession
from host.gateway.task_owners import TaskOwner, TaskOwners

ANN, BOB = Principal("ann", "ide"), Principal("bob", "ide")


def by(principal: Principal) -> Exchange:
    return QuietExchange(QuietSession(principal, "http"), None)


def owners() -> TaskOwners:
    return TaskOwners(lambda exchange, task_id: task_id.startswith("agent:"))


def test_servers_that_number_their_tasks_alike_keep_them_apart():
    tasks, first = owners(), {"taskId": "1", "status": "working"}
    assert tasks.named(by(ANN), "near", first) == first
    assert tasks.named(by(ANN), "far", first) == {**first, "taskId": "far:1"}
    assert tasks.named(by(ANN), "far", first)["taskId"] == "far:1"  # it keeps that name
    assert tasks.find(by(ANN), "1") == TaskOwner("near", "1", ANN.id)
    assert tasks.find(by(ANN), "far:1") == TaskOwner("far", "1", ANN.id)


@pytest.mark.parametrize("nested", [True, False])
def test_task_of_a_server_that_is_a_host_is_not_taken_for_an_own_one(nested: bool):
    given: Json = {"taskId": "agent:x", "status": "working"}
    result = {"task": given, "_meta": {}} if nested else given
    told = owners().named(by(ANN), "far", result)
    assert (told["task"] if nested else told) == {**given, "taskId": "far:agent:x"}
    assert owners().find(by(ANN), "far:agent:x") == TaskOwner("far", "agent:x")  # after a restart


def test_server_cannot_take_a_task_over_by_its_name():
    tasks = owners()
    tasks.named(by(ANN), "far", {"taskId": "agent:x"})
    assert tasks.named(by(ANN), "evil", {"taskId": "far:agent:x"})["taskId"] == "evil:far:agent:x"
    assert tasks.find(by(ANN), "far:agent:x") == TaskOwner("far", "agent:x", ANN.id)
    with pytest.raises(RpcError, match="There is no task"):
        tasks.find(by(BOB), "far:agent:x")
