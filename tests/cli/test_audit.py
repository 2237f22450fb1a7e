import json
import os
import subprocess
import sys
from pathlib import Path

from host.audit.journal import Journal
from host.audit.record import Intent, Outcome, OutcomeKind, new_call_id
from host.domain.principal import Principal

ROOT = Path(__file__).parents[2]


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "HOST_CONFIG")}
    return subprocess.Popen(
        [sys.executable, "-m", "host", *words],
        cwd=ROOT,
        env=environment | {"HOST_DATA_DIR": str(folder), "XDG_CONFIG_HOME": str(folder / "none")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def host(folder: Path, *words: str) -> tuple[int, str, str]:
    with start(folder, *words) as process:
        out, err = process.communicate()
    return process.returncode, out, err


def call(
    journal: Journal, name: str, outcome: OutcomeKind | None = "ok", client: str = "cursor"
) -> str:
    ann = Principal("ann", client)
    begun = Intent(
        call_id=new_call_id(),
        principal=ann,
        face="stdio",
        method="tools/call",
        name=name,
        upstream=name.partition("__")[0],
        arguments={"city": "Zürich 100%"},
    )
    journal.append(begun)
    if outcome is not None:
        journal.append(
            Outcome(call_id=begun.call_id, principal=ann, outcome=outcome, duration=1500)
        )
    return begun.call_id


def found(folder: Path, *words: str) -> list[str]:
    status, out, err = host(folder, "audit", "search", "--json", *words)
    assert (status, err) == (0, "")
    return [json.loads(line)["call_id"] for line in out.splitlines()]


def test_search_filters_calls_of_journal_and_store_alike(empty_store_folder: Path):
    folder = empty_store_folder
    with Journal(folder / "journal") as journal:
        old = call(journal, "files__read")
        lost = call(journal, "web__get", None)
    assert host(folder, "backup", str(folder / "loads-the-journal.zip"))[0] == 0
    assert not list((folder / "journal").glob("*/*.log"))
    (folder / "loads-the-journal.zip").unlink()
    with Journal(folder / "journal") as journal:
        new = call(journal, "files__read", "denied", "goose")
        running = call(journal, "files__list", None)
        assert found(folder) == [old, lost, new, running]
        assert found(folder, "--tool", "read") == [old, new]
        assert found(folder, "--tool", "files__read", "--client", "goose") == [new]
        assert found(folder, "--server", "web") == [lost]
        assert found(folder, "--outcome", "unknown") == [lost]
        assert found(folder, "--outcome", "running") == [running]
        assert found(folder, "100%", "--limit", "1") == [running]
        assert found(folder, "--since", "2099-01-01") == []
    status, out, _err = host(folder, "audit", "show", old, "--json")
    assert (status, json.loads(out)["arguments"]) == (0, {"city": "Zürich 100%"})
    status, _out, err = host(folder, "audit", "show", "ffff")
    assert (status, "There is no recorded call" in err) == (1, True)
    assert host(folder, "audit", "verify")[:2] == (0, "10 lines of 2 writers: intact.\n")


def test_tail_shows_calls_as_they_end_and_those_whose_process_died(empty_store_folder: Path):
    folder = empty_store_folder
    with Journal(folder / "journal") as journal:
        first = call(journal, "files__read")
        with start(folder, "audit", "tail", "--json") as tail:
            assert tail.stdout is not None
            assert json.loads(tail.stdout.readline())["call_id"] == first
            second = call(journal, "files__list", "tool_error")
            assert json.loads(tail.stdout.readline())["call_id"] == second
            lost = call(journal, "files__write", None)
            journal.close()
            last = json.loads(tail.stdout.readline())
            assert (last["call_id"], last["outcome"]) == (lost, "unknown")
            tail.kill()


def test_export_writes_a_new_file_of_json_lines(empty_store_folder: Path, tmp_path: Path):
    with Journal(empty_store_folder / "journal") as journal:
        names = [call(journal, "files__read") for _ in range(3)]
    out = tmp_path / "calls.jsonl"
    assert host(empty_store_folder, "audit", "export", "-o", str(out))[0] == 0
    assert [json.loads(line)["call_id"] for line in out.read_text().splitlines()] == names
    status, _out, err = host(empty_store_folder, "audit", "export", "-o", str(out))
    assert (status, "overwrites nothing" in err) == (2, True)


def test_a_time_that_is_none_is_explained(empty_store_folder: Path):
    status, _out, err = host(empty_store_folder, "audit", "search", "--since", "yesterday")
    assert (status, "30m, 12h, 7d" in err) == (2, True)
    assert "Traceback" not in err


def test_store_status_and_restore_say_what_they_did(empty_store_folder: Path, tmp_path: Path):
    folder = empty_store_folder
    with Journal(folder / "journal") as journal:
        call(journal, "files__read")
    saved = str(tmp_path / "saved.zip")
    assert host(folder, "backup", saved)[0] == 0
    status, out, _err = host(folder, "store", "status", "--json")
    assert status == 0
    assert json.loads(out) | {"postgres": "", "bytes": 0, "pgvector": ""} == {
        "kind": "embedded",
        "postgres": "",
        "pgvector": "",
        "bytes": 0,
        "rows": 4,
        "where": str(folder / "cluster" / "data"),
    }
    status, _out, err = host(folder, "restore", saved)
    assert (status, "--replace" in err) == (1, True)
    status, out, _err = host(folder, "restore", saved, "--replace")
    assert (status, out.startswith("4 rows of ")) == (0, True)
    assert host(folder, "store", "url")[1].startswith("postgresql:///host?user=host_owner&host=")
