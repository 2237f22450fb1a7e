import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.fakes.gateway_scene import read_journal, stdio
from tests.fakes.misbehaviour import Json
from tests.faults.daemon import Bridge, Yard, is_alive, open_yard, processes_of, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


def test_killed_daemon_orphans_nothing_and_its_bridge_goes_on_with_a_new_one():
    with open_yard({"bad": stdio()}) as yard:
        bridge = yard.bridge()
        pids = [
            pid
            for away in (False, True)
            for pid in bridge.call("bad__spawn", {"away": away})["result"]["structuredContent"][
                "pids"
            ]
        ]
        wait_until(lambda: yard.host("status")["store"]["ready"])
        daemon = yard.daemon()
        lost = bridge.send("tools/call", {"name": "bad__hang", "arguments": {}}, request_id="né\n")
        assert bridge.call("bad__heard", {"kind": "hanging"})["result"]
        store = processes_of(yard.folder) - {bridge.process.pid, daemon}
        finished = bridge.send(
            "tools/call", {"name": "bad__answer", "arguments": {}}, request_id="où"
        )
        assert bridge.wait(finished)["result"]
        os.kill(daemon, signal.SIGKILL)
        answer = bridge.wait(lost)
        assert "whether it took effect is not known" in answer["error"]["message"]
        assert "host audit" in answer["error"]["message"]
        wait_until(lambda: not any(map(is_alive, pids)))
        assert bridge.call("bad__answer")["result"]
        assert finished not in bridge.answers  # it had its answer, and gets no other
        assert yard.daemon() != daemon
        assert store


def spawned(yard: Yard, bridge: Bridge) -> set[int]:
    """Return a server and what it started: a child, one in a session of its own, an orphan."""
    found: set[int] = set()
    for options in ({}, {"away": True}, {"away": True, "twice": True}):
        answer = bridge.call("bad__spawn", options)["result"]["structuredContent"]
        found |= set(answer["pids"])
    wait_until(lambda: all(map(is_alive, found)))
    return found


def keepers_of(daemon: int) -> list[int]:
    """Return the two processes that keep a daemon's servers, the outer one first."""
    (outer,) = children_of(daemon, naming="keeper_process")
    (inner,) = children_of(outer, naming="keeper_process")
    return [outer, inner]


def children_of(pid: int, *, naming: str) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == pid and naming in (entry / "cmdline").read_text():
                    found.append(int(entry.name))
    return found


@pytest.mark.parametrize(
    "whom", ["outer", "inner", "outer inner", "daemon outer", "daemon inner", "daemon"]
)
def test_no_process_of_a_server_outlives_those_that_keep_it_kill_9_included(whom: str):
    with open_yard({"bad": stdio()}) as yard:
        bridge = yard.bridge()
        pids = spawned(yard, bridge)
        daemon = yard.daemon()
        outer, inner = keepers_of(daemon)
        known = {"daemon": daemon, "outer": outer, "inner": inner}
        kill_at_once({known[name] for name in whom.split()})
        wait_until(lambda: not any(map(is_alive, pids | {outer, inner})))
        # A server that was killed is started again, after a moment.
        wait_until(lambda: "result" in bridge.call("bad__answer"))


def test_what_outlived_all_of_its_keepers_ends_when_the_next_one_begins():
    with open_yard({"bad": stdio()}) as yard:
        bridge = yard.bridge()
        pids = spawned(yard, bridge)
        daemon = yard.daemon()
        kill_at_once({daemon, *keepers_of(daemon)})
        assert bridge.call("bad__answer")["result"]
        wait_until(lambda: not any(map(is_alive, pids)))


def kill_at_once(pids: set[int]) -> None:
    for number in (signal.SIGSTOP, signal.SIGKILL):  # nobody gets to do anything in between
        for pid in pids:
            os.kill(pid, number)


def test_call_that_a_killed_daemon_never_took_is_made_by_the_next_one_and_once():
    with open_yard({"bad": stdio()}) as yard:
        bridge = yard.bridge()
        bridge.call("bad__answer")
        daemon = yard.daemon()
        taken = bridge.send("tools/call", {"name": "bad__hang", "arguments": {}})
        assert bridge.call("bad__heard", {"kind": "hanging"})["result"]
        os.kill(daemon, signal.SIGSTOP)  # its socket still takes what it will never read
        sent = [
            bridge.send("tools/call", {"name": "bad__echo", "arguments": {"n": n}})
            for n in range(50)
        ]
        os.kill(daemon, signal.SIGKILL)
        assert "is not known" in bridge.wait(taken)["error"]["message"]
        answers = [bridge.wait(one)["result"]["structuredContent"]["n"] for one in sent]
        assert answers == list(range(50))
        made = [call["arguments"]["n"] for call in yard.exported("bad__echo")]
        assert sorted(made) == answers
        assert not list((yard.folder / "run").rglob("*.tally"))


def test_killed_daemon_takes_its_database_along():
    with open_yard({"bad": stdio()}) as yard:
        bridge = yard.bridge()
        bridge.call("bad__answer")
        wait_until(lambda: yard.host("status")["store"]["ready"])
        daemon = yard.daemon()
        bridge.close()  # so that nobody starts another daemon
        database = databases_of(yard.folder)
        assert len(database) == 1
        os.kill(daemon, signal.SIGKILL)
        wait_until(lambda: processes_of(yard.folder) == set())
        wait_until(lambda: not any(map(is_alive, database)))
        assert databases_of(yard.folder) == set()  # and nobody starts another


def databases_of(folder: Path) -> set[int]:
    """Return the servers that watchers of a folder started."""
    watchers = processes_of(folder)
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                head, _, tail = (entry / "stat").read_text().rpartition(")")
                if head.endswith("(postgres") and int(tail.split()[1]) in watchers:
                    found.add(int(entry.name))
    return found


def test_kill_9_of_everything_but_the_database_at_once_ends_the_database():
    with open_yard({"bad": stdio()}) as yard:
        bridge = yard.bridge()
        bridge.call("bad__answer")
        wait_until(lambda: yard.host("status")["store"]["ready"])
        bridge.close()
        wait_until(lambda: not is_alive(bridge.process.pid))
        database = databases_of(yard.folder)
        assert len(database) == 1
        everybody = processes_of(yard.folder) - database
        kill_at_once(everybody)
        wait_until(lambda: not any(map(is_alive, everybody | database)))
        assert processes_of(yard.folder) == set()


def test_no_record_of_a_finished_call_is_lost_when_the_daemon_is_killed_under_load():
    with open_yard({"bad": stdio()}) as yard:
        bridges = [yard.bridge() for _ in range(3)]
        bridges[0].call("bad__answer")
        daemon = yard.daemon()
        waiting = [
            (
                bridge,
                bridge.send("tools/call", {"name": "bad__echo", "arguments": {"n": f"{b}-{n}"}}),
            )
            for n in range(300)
            for b, bridge in enumerate(bridges)
        ]
        answered: set[str] = set()
        unknown = 0
        for count, (bridge, request_id) in enumerate(waiting):
            if count == 200:
                os.kill(daemon, signal.SIGKILL)
            answer = bridge.wait(request_id)
            if "result" in answer:
                answered.add(answer["result"]["structuredContent"]["n"])
            else:
                unknown += 1
        assert len(answered) >= 200
        assert len(answered) + unknown == len(waiting)
        assert answered <= finished(yard)


def finished(yard: Yard) -> set[str]:
    """Return the arguments of all calls that are recorded as finished, in journal or store."""
    entries = list(read_journal(yard.journal()))
    intents = {
        entry["call_id"]: entry["arguments"].get("n")
        for entry in entries
        if entry["kind"] == "intent" and isinstance(entry.get("arguments"), dict)
    }
    ended = {entry["call_id"] for entry in entries if entry["kind"] == "outcome"}
    found = {value for call_id, value in intents.items() if value and call_id in ended}
    return found | {call["arguments"]["n"] for call in yard.exported("bad__echo")}


def test_killed_bridge_lets_its_servers_call_go_and_leaves_the_daemon():
    with open_yard({"bad": stdio()}) as yard:
        first, second = yard.bridge(), yard.bridge()
        first.send("tools/call", {"name": "bad__hang", "arguments": {}})
        assert second.call("bad__heard", {"kind": "hanging"})["result"]
        first.process.send_signal(signal.SIGKILL)
        assert second.call("bad__heard", {"kind": "cancelled"})["result"]
        assert second.call("bad__answer")["result"]


def test_bridge_whose_client_closes_its_end_leaves_at_once_after_a_cancelled_call():
    with open_yard({"bad": stdio()}) as yard:
        bridge, other = yard.bridge(), yard.bridge()
        request_id = bridge.send("tools/call", {"name": "bad__hang", "arguments": {}})
        assert other.call("bad__heard", {"kind": "hanging"})["result"]
        params = {"requestId": request_id}
        bridge.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        assert other.call("bad__heard", {"kind": "cancelled"})["result"]
        assert bridge.process.stdin is not None
        bridge.process.stdin.close()
        assert (
            bridge.process.wait(20) == 0
        )  # and not after the 30 s for which answers are waited for


def threads_of(pid: int) -> list[Path]:
    """Return the threads of a process; its files are closed once the last one has ended."""
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def test_call_sent_after_the_daemon_was_killed_is_made_by_the_next_one():
    with open_yard({"bad": stdio()}) as yard:
        bridge = yard.bridge()
        bridge.call("bad__answer")
        daemon = yard.daemon()
        os.kill(daemon, signal.SIGKILL)
        wait_until(lambda: not is_alive(daemon) and len(threads_of(daemon)) < 2)
        calls = [
            bridge.send("tools/call", {"name": "bad__answer", "arguments": {}}, request_id=number)
            for number in (-7, 0, "x")
        ]
        answers = [bridge.wait(one) for one in calls]
        assert [one for one in answers if "result" not in one] == []
        assert yard.daemon() != daemon


def test_bridge_that_starts_while_a_daemon_ends_is_served_by_the_next_one():
    with open_yard({"bad": stdio()}) as yard:
        first = yard.bridge()
        daemon = yard.daemon()
        first.send("tools/call", {"name": "bad__hang", "arguments": {}})
        assert first.call("bad__heard", {"kind": "hanging"})["result"]
        os.kill(daemon, signal.SIGTERM)  # it waits for the call, and listens no more
        wait_until(lambda: not (yard.folder / "run" / "host.sock").exists())
        second = yard.bridge()
        assert second.call("bad__answer")["result"]
        assert yard.daemon() != daemon


def test_bridge_leaves_at_once_whatever_number_its_last_request_had():
    with open_yard({"bad": stdio()}) as yard:
        bridge = yard.bridge()
        assert bridge.wait(bridge.send("ping", request_id=-7)) is not None
        assert bridge.process.stdin is not None
        bridge.process.stdin.close()
        assert bridge.process.wait(20) == 0  # it would wait 30 s for an answer


def test_run_of_a_killed_daemon_is_taken_up_at_once():
    with open_yard({"bad": stdio()}) as yard:
        write_agent(yard, "patient", [{"calls": [{"tool": "bad__hang"}]}, {"reply": "${result}"}])
        bridge = yard.bridge()
        begun = bridge.call("orchestrator__start_run", {"agent": "patient", "message": "Hang."})
        run = begun["result"]["structuredContent"]["run"]
        assert bridge.call("bad__heard", {"kind": "hanging"})["result"]
        [daemon] = children_of(bridge.process.pid, naming="serve")
        bridge.close()  # so that nobody starts another daemon
        os.kill(daemon, signal.SIGKILL)
        ended = yard.host("runs", "resume", run)
        assert "is not known" in ended["text"]
        assert ended["status"] == "succeeded"


def write_agent(yard: Yard, name: str, turns: list[Json]) -> None:
    """Write an agent, and the configuration where a daemon finds it that a command starts."""
    folder = yard.folder / "home" / ".config" / "mcp-agent-host"
    folder.mkdir(parents=True)
    (folder / "host.yaml").write_text(yard.config.read_text())
    for path, body in (
        (f"models/scripts/{name}.yaml", {"turns": turns}),
        (f"agents/{name}.yaml", {"model": f"scripted:{name}", "tools": ["bad"]}),
    ):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(json.dumps(body))
