import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from host.audit.call import CallFilter
from host.audit.journal import Journal
from host.audit.loader import JournalLoader
from host.audit.record import Intent, Note, Outcome, OutcomeKind, new_call_id
from host.audit.trail import Trail
from host.domain.errors import NotFoundError
from host.domain.principal import Principal
from host.storage.store import open_store
from tests.fakes.command import run_host

ROOT = Path(__file__).parents[2]


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "host", *words],
        cwd=ROOT,
        env=variables(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def variables(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "HOST_CONFIG")}
    return kept | {"HOST_DATA_DIR": str(folder), "XDG_CONFIG_HOME": str(folder / "none")}


def host(folder: Path, *words: str, config: Path | None = None) -> tuple[int, str, str]:
    more = {} if config is None else {"HOST_CONFIG": str(config)}
    done = run_host(*words, folder=ROOT, environ=variables(folder) | more)
    return done.returncode, done.stdout, done.stderr


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


async def ids(trail: Trail, **wanted: Any) -> list[str]:
    return [call.id for call in await trail.find(CallFilter(**wanted), most=50)]


def test_filters_find_calls_of_journal_and_store_alike(empty_store_folder: Path):
    journals = empty_store_folder / "journal"

    async def run() -> None:
        store = await open_store(None, empty_store_folder)
        trail = Trail(journals, store)
        with Journal(journals) as journal:
            old = call(journal, "files__read")
            lost = call(journal, "web__get", None)
        await JournalLoader(journals, store).load_once()
        assert not list(journals.glob("*/*.log"))
        with Journal(journals) as journal:
            new = call(journal, "files__read", "denied", "goose")
            running = call(journal, "files__list", None)
            assert await ids(trail) == [old, lost, new, running]
            assert await ids(trail, tool="read") == [old, new]
            assert await ids(trail, tool="files__read", client="goose") == [new]
            assert await ids(trail, server="web") == [lost]
            assert await ids(trail, outcome="unknown") == [lost]
            assert await ids(trail, outcome="running") == [running]
            assert await ids(trail, text="100%") == [old, lost, new, running]
            assert await ids(trail, text="100_") == []
            assert await ids(trail, since=datetime(2099, 1, 1, tzinfo=UTC)) == []
            assert (await trail.get(old)).intent["arguments"] == {"city": "Zürich 100%"}
            assert (await trail.get(running[:25])).id == running
            with pytest.raises(NotFoundError, match="no recorded call"):
                await trail.get("ffff")
        await store.close()

    anyio.run(run)


def test_user_label_and_time_are_looked_for_in_journal_and_store_alike(empty_store_folder: Path):
    journals = empty_store_folder / "journal"

    def labelled(journal: Journal, user: str, *labels: str, brought: tuple[str, ...] = ()) -> str:
        who = Principal(user, "cursor")
        begun = Intent(
            call_id=new_call_id(),
            principal=who,
            face="stdio",
            method="tools/call",
            name="mail__send",
            arguments={"labels": ["private"]},  # an argument is no label
            labels=labels,
        )
        ended = Outcome(call_id=begun.call_id, principal=who, outcome="ok", labels=brought)
        journal.append(begun, ended)
        return begun.call_id

    async def run() -> None:
        store = await open_store(None, empty_store_folder)
        trail = Trail(journals, store)
        with Journal(journals) as journal:
            one = labelled(journal, "ann", "sends", "x.y")
            two = labelled(journal, "bob", brought=("private",))
        await JournalLoader(journals, store).load_once()
        moment = datetime.now(UTC)
        with Journal(journals) as journal:
            three = labelled(journal, "ann", "sends")
            assert await ids(trail, label="sends") == [one, three]
            assert await ids(trail, label="private") == [two]
            assert await ids(trail, label="x.y") == [one]
            assert await ids(trail, label="xzy") == []
            assert await ids(trail, user="bob") == [two]
            assert await ids(trail, until=moment) == [one, two]
            assert await ids(trail, until=moment, label="sends", user="ann") == [one]
        await store.close()

    anyio.run(run)


def test_show_search_and_verify_work_at_the_terminal(empty_store_folder: Path):
    with Journal(empty_store_folder / "journal") as journal:
        name = call(journal, "files__read")
    status, out, err = host(empty_store_folder, "audit", "search", "Zürich", "--json")
    assert (status, json.loads(out)["call_id"], err) == (0, name, "")
    status, out, _err = host(empty_store_folder, "audit", "show", name)
    assert (status, "Zürich" in out) == (0, True)
    status, out, _err = host(empty_store_folder, "audit", "verify")
    assert (status, out.splitlines()[0]) == (0, "3 lines of 1 writers: intact.")


def note(journal: Journal, what: str, user: str = "ann", **detail: Any) -> None:
    journal.append(Note(principal=Principal(user, "terminal"), name=what, detail=detail))


def test_notes_are_found_in_journal_and_store_alike(empty_store_folder: Path):
    journals = empty_store_folder / "journal"

    async def names(trail: Trail, **wanted: Any) -> list[str]:
        return [one.name for one in await trail.find_notes(CallFilter(**wanted), most=50)]

    async def run() -> None:
        store = await open_store(None, empty_store_folder)
        trail = Trail(journals, store)
        with Journal(journals) as journal:
            note(journal, "approval.approved", id="a-1", edited_arguments={"to": "eve"})
            note(journal, "policy.changed", after="abc")
        await JournalLoader(journals, store).load_once()
        assert not list(journals.glob("*/*.log"))
        moment = datetime.now(UTC)
        with Journal(journals) as journal:
            note(journal, "grant.revoked", "bob", id="g-1")
            call(journal, "files__read")
            every = ["approval.approved", "policy.changed", "grant.revoked"]
            assert await names(trail) == every
            assert await names(trail, outcome="note") == every
            assert await names(trail, text="EVE") == ["approval.approved"]
            assert await names(trail, user="bob") == ["grant.revoked"]
            assert await names(trail, until=moment) == every[:2]
            assert await names(trail, since=moment, client="terminal") == every[2:]
            for only_calls in ({"tool": "files__read"}, {"outcome": "ok"}, {"label": "sends"}):
                assert await names(trail, **only_calls) == []
            for one in await trail.find_notes(CallFilter(), most=50):
                assert (await trail.get_note(one.id)).fields == one.fields
            with pytest.raises(NotFoundError):
                await trail.get_note("00000000.1")
        await store.close()

    anyio.run(run)


def test_what_was_done_to_the_host_is_listed_and_shown_at_the_terminal(empty_store_folder: Path):
    with Journal(empty_store_folder / "journal") as journal:
        note(journal, "approval.approved", id="a-1", name="mail__send", edited_arguments={"n": 1})
    status, out, _err = host(empty_store_folder, "audit", "search", "edited_arguments")
    assert status == 0
    assert "note" in out
    assert out.split()[-3:] == ["approval.approved", "a-1", "mail__send"]
    status, shown, _err = host(empty_store_folder, "audit", "show", out.split()[0], "--json")
    assert status == 0
    assert json.loads(shown)["detail"]["edited_arguments"] == {"n": 1}


def test_tail_shows_notes_as_they_are_made(empty_store_folder: Path):
    folder = empty_store_folder
    with Journal(folder / "journal") as journal:
        note(journal, "policy.changed", after="first")
        with start(folder, "audit", "tail", "--follow", "--json") as tail:
            assert tail.stdout is not None
            assert json.loads(tail.stdout.readline())["detail"] == {"after": "first"}
            note(journal, "grant.revoked", id="g-1")
            last = json.loads(tail.stdout.readline())
            assert (last["name"], last["outcome"]) == ("grant.revoked", "note")
            tail.kill()


def test_tail_shows_calls_as_they_end_and_those_whose_process_died(empty_store_folder: Path):
    folder = empty_store_folder
    with Journal(folder / "journal") as journal:
        first = call(journal, "files__read")
        with start(folder, "audit", "tail", "--follow", "--json") as tail:
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


def test_an_export_with_its_chain_is_verified_by_the_key_that_signed_it(
    empty_store_folder: Path, tmp_path: Path
):
    with Journal(empty_store_folder / "journal") as journal:
        call(journal, "files__read")
    file = tmp_path / "record.jsonl"
    status, _out, err = host(empty_store_folder, "audit", "export", "--chain", "-o", str(file))
    assert (status, "signed by" in err) == (0, True)
    _status, key, _err = host(empty_store_folder, "audit", "key")
    status, out, _err = host(tmp_path, "audit", "verify", str(file), "--key", key.strip())
    assert (status, out.splitlines()[0]) == (0, "3 lines of 1 writers: intact.")

    file.write_text(file.read_text().replace("Zürich", "Basel"))
    status, out, _err = host(tmp_path, "audit", "verify", str(file))
    assert status == 1
    assert "altered: line 2 of" in out
    refused = host(empty_store_folder, "audit", "export", "--chain", "--tool", "read")
    assert refused[0] == 2
    assert "a chain has no gaps" in refused[2]


def test_prune_says_what_is_kept_and_what_would_go(empty_store_folder: Path, tmp_path: Path):
    with Journal(empty_store_folder / "journal") as journal:
        call(journal, "files__read")
    said = host(empty_store_folder, "audit", "prune")[1]
    assert said.startswith("Everything is kept")
    config = tmp_path / "host.yaml"
    config.write_text("servers: {}\naudit: {keep_days: 30}\n")
    status, out, err = host(empty_store_folder, "audit", "prune", "--dry-run", config=config)
    assert (status, out) == (0, "0 lines of 0 writers would be dropped.\n"), err
