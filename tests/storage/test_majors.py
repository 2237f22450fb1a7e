import threading
from pathlib import Path

import pytest

from host.storage import embedded
from host.storage.backup import read_manifest, write_backup
from host.storage.binaries import Binaries, find_binaries
from host.storage.connector import EmbeddedConnector
from host.storage.restore import restore_backup
from tests.storage.fixtures import remove_folder

OLD = 16


def quiet(_text: str) -> None:
    return None


def test_an_older_cluster_runs_with_its_own_programs_and_its_backup_goes_into_a_new_one(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def find_old(major: int | None = None) -> Binaries:
        return find_binaries(major or OLD)

    monkeypatch.setattr(embedded, "find_binaries", find_old)
    old = EmbeddedConnector(data_folder, linger=0.0)
    old.prepare(quiet, threading.Event())
    old.release()
    monkeypatch.undo()
    again = EmbeddedConnector(data_folder, linger=0.0)
    again.prepare(quiet, threading.Event())
    write_backup(again, tmp_path / "b", tell=quiet)
    again.release()
    assert read_manifest(tmp_path / "b").postgres == OLD
    remove_folder(data_folder)
    data_folder.mkdir(mode=0o711)
    new = EmbeddedConnector(data_folder, linger=0.0)
    new.prepare(quiet, threading.Event())
    restore_backup(new, tmp_path / "b", replace=False, tell=quiet)
    write_backup(new, tmp_path / "c", tell=quiet)
    new.release()
    before, after = read_manifest(tmp_path / "b"), read_manifest(tmp_path / "c")
    assert (after.postgres, after.tables) == (find_binaries().major, before.tables)
