import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from host.domain.errors import StoreError
from host.storage.backup import read_content, write_backup
from host.storage.connector import EmbeddedConnector
from host.storage.restore import restore_backup

LINES = (
    "insert into host.audit_entries (writer, sequence, digest, line, kind, at, user_id)"
    " select gen_random_uuid(), n, '', '{\"t\": \"ä\\u0000 ''\"}', 'note', now(), 'ann'"
    " from generate_series(1, 500) n"
)


def quiet(_text: str) -> None:
    return None


@pytest.fixture
def connector(empty_store_folder: Path) -> Iterator[EmbeddedConnector]:
    connector = EmbeddedConnector(empty_store_folder)
    connector.prepare(quiet, threading.Event())
    yield connector
    connector.release()


def run(connector: EmbeddedConnector, statement: str) -> None:
    with psycopg.connect(**connector.privileged()) as database:
        database.execute(statement.encode())


def content(connector: EmbeddedConnector):
    with psycopg.connect(**connector.privileged()) as database:
        return read_content(database)


def test_what_was_saved_comes_back_and_replaces_only_when_told(
    connector: EmbeddedConnector, tmp_path: Path
):
    run(connector, LINES)
    before = content(connector)
    file = tmp_path / "a b'.zip"
    manifest = write_backup(connector, file, tell=quiet)
    assert manifest.tables == before
    assert file.stat().st_mode & 0o777 == 0o600
    run(connector, "delete from host.audit_entries where sequence > 100")
    changed = content(connector)
    with pytest.raises(StoreError, match="Add --replace"):
        restore_backup(connector, file, replace=False, tell=quiet)
    assert content(connector) == changed
    done = restore_backup(connector, file, replace=True, tell=quiet)
    assert done.replaced == 100
    assert content(connector) == before
    with psycopg.connect(**connector.privileged()) as database:
        forced = database.execute(
            "select relforcerowsecurity, relrowsecurity from pg_class"
            " where relname = 'audit_entries'"
        ).fetchall()
        left = database.execute("select datname from pg_database where datname like '%restore%'")
        assert (forced, left.fetchall()) == ([(True, True)], [])


def test_an_empty_store_is_filled_without_being_told_twice(
    connector: EmbeddedConnector, tmp_path: Path
):
    run(connector, LINES)
    write_backup(connector, tmp_path / "b", tell=quiet)
    before = content(connector)
    run(connector, "truncate host.audit_entries")
    restore_backup(connector, tmp_path / "b", replace=False, tell=quiet)
    assert content(connector) == before


def test_a_backup_overwrites_nothing(connector: EmbeddedConnector, tmp_path: Path):
    file = tmp_path / "b"
    file.write_text("dear")
    with pytest.raises(StoreError, match="exists"):
        write_backup(connector, file, tell=quiet)
    assert file.read_text() == "dear"


def test_a_damaged_backup_is_refused_and_the_store_stays(
    connector: EmbeddedConnector, tmp_path: Path
):
    run(connector, LINES)
    before = content(connector)
    file = tmp_path / "b"
    write_backup(connector, file, tell=quiet)
    whole = file.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:-100], b"", whole[:middle] + b"xx" + whole[middle + 2 :]):
        file.write_bytes(damaged)
        with pytest.raises(StoreError, match="another copy"):
            restore_backup(connector, file, replace=True, tell=quiet)
    with pytest.raises(StoreError, match="no backup"):
        restore_backup(connector, tmp_path / "none", replace=True, tell=quiet)
    assert content(connector) == before


def test_a_copy_that_differs_from_its_manifest_never_gets_in_place(
    connector: EmbeddedConnector, tmp_path: Path
):
    run(connector, LINES)
    write_backup(connector, tmp_path / "b", tell=quiet)
    with zipfile.ZipFile(tmp_path / "b") as good:
        manifest = good.read("manifest.json").decode().replace('"rows": 500', '"rows": 501')
        with zipfile.ZipFile(tmp_path / "c", "w") as bad:
            bad.writestr("store.dump", good.read("store.dump"))
            bad.writestr("manifest.json", manifest)
    run(connector, "delete from host.audit_entries where sequence > 7")
    before = content(connector)
    with pytest.raises(StoreError, match="differ from the backup: audit_entries"):
        restore_backup(connector, tmp_path / "c", replace=True, tell=quiet)
    assert content(connector) == before
