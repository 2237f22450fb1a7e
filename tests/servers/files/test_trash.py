"""Deleting and bringing back, also after a restart, a crash and in part."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from servers.files.service import open_service
from servers.files.trash import Deleted, delete, find_deleted, list_deleted, restore
from servers.launch import SettingsError
from servers.tool import RefusalError
from tests.servers.files.opening import names_in, roots_for, settings_for


def test_a_deleted_folder_comes_back_after_a_restart(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("kept")
    roots = roots_for(tmp_path)
    deleted = delete(roots.place("a/b"), settings_for(tmp_path))
    (tmp_path / "a").rmdir()
    restarted = roots_for(tmp_path)
    root, found = find_deleted(restarted.roots, deleted.id)
    assert found == deleted
    assert str(restore(root, found)) == "a/b"
    assert (tmp_path / "a" / "b" / "file").read_text() == "kept"
    assert list_deleted(root) == []
    assert names_in(tmp_path / ".host-trash") == [".gitignore"]


def test_nothing_is_restored_over_what_is_there(tmp_path: Path):
    (tmp_path / "x").write_text("old")
    roots, settings = roots_for(tmp_path), settings_for(tmp_path)
    deleted = delete(roots.place("x"), settings)
    (tmp_path / "x").write_text("new")
    with pytest.raises(RefusalError, match="exists again"):
        restore(roots.roots[0], deleted)
    restore(roots.roots[0], deleted, roots.place("y"))
    assert (tmp_path / "x").read_text() == "new"
    assert (tmp_path / "y").read_text() == "old"


def test_unknown_ids_name_the_nearest(tmp_path: Path):
    (tmp_path / "x").write_text("")
    roots = roots_for(tmp_path)
    deleted = delete(roots.place("x"), settings_for(tmp_path))
    with pytest.raises(RefusalError, match=deleted.id):
        find_deleted(roots.roots, deleted.id[:-1] + "g")


def test_a_record_without_its_item_is_no_trash(tmp_path: Path):
    (tmp_path / "x").write_text("")
    roots = roots_for(tmp_path)
    deleted = delete(roots.place("x"), settings_for(tmp_path))
    (tmp_path / ".host-trash" / deleted.id / "item").unlink()
    (tmp_path / ".host-trash" / "rubbish").mkdir()
    assert list_deleted(roots.roots[0]) == []


def test_a_link_in_place_of_the_trash_is_refused(tmp_path: Path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "x").write_text("")
    (root / ".host-trash").symlink_to(outside)
    with pytest.raises(OSError, match="Not a directory"):
        delete(roots_for(root).place("x"), settings_for(root))
    assert names_in(outside) == []
    assert (root / "x").exists()


def test_old_trash_is_removed_for_good(tmp_path: Path):
    for name in ("old", "new"):
        (tmp_path / name).write_text("")
    roots, settings = roots_for(tmp_path), settings_for(tmp_path, trash_days=7)
    old, new = (delete(roots.place(name), settings) for name in ("old", "new"))
    record = tmp_path / ".host-trash" / old.id / "record.json"
    past = (datetime.now(UTC) - timedelta(days=8)).isoformat(timespec="seconds")
    record.write_text(record.read_text().replace(old.deleted_at, past))
    service = open_service(settings)
    service.crews.close()
    assert [d.id for d in list_deleted(roots.roots[0])] == [new.id]


def test_the_trash_may_lie_elsewhere_on_the_same_file_system(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "x").write_text("kept")
    service = open_service(settings_for(root, trash=str(tmp_path / "trash")))
    deleted = delete(service.place("x"), service.settings)
    assert names_in(root) == []
    restore(service.all_roots.roots[0], deleted)
    assert (root / "x").read_text() == "kept"


def test_trash_on_another_file_system_is_refused_at_start(tmp_path: Path):
    with pytest.raises(SettingsError, match="another file system"):
        open_service(settings_for(tmp_path, trash="/dev/shm/files-trash-test"))  # noqa: S108 - refused
    Path("/dev/shm/files-trash-test", tmp_path.name).rmdir()  # noqa: S108 - what the refusal made
    Path("/dev/shm/files-trash-test").rmdir()  # noqa: S108 - and its parent


FORGED_ID = "20261120T000000-0123abcd"


def forge(root: Path, record: dict[str, Any], name: str = FORGED_ID) -> None:
    """Put a record of a stranger's making into the trash, as an unpacked archive can."""
    record = {"kind": "file", "size": 5, **record}
    folder = root / ".host-trash" / name
    folder.mkdir(parents=True)
    (folder / "item").write_text("pwned")
    (folder / "record.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    "path",
    [
        ["..", "outside", "pwn"],
        ["../outside/pwn"],
        ["a/../../outside/pwn"],
        ["/outside/pwn"],
        ["."],
        [""],
        [],
        "pwn",
        [1],
        ["nul\0"],
        ["\ud800"],
        ["x" * 300],
        [".host-trash", "x"],
        [".HOST-TMP-x"],
        None,
    ],
)
def test_a_forged_record_puts_nothing_anywhere(tmp_path: Path, path: object):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    forge(root, {"path": path, "deleted_at": "2026-11-20T00:00:00+00:00"})
    served = roots_for(root)
    assert list_deleted(served.roots[0]) == []
    with pytest.raises(RefusalError, match="in the trash"):
        find_deleted(served.roots, FORGED_ID)
    assert (root / ".host-trash" / FORGED_ID / "item").exists()
    assert names_in(outside) == []


@pytest.mark.parametrize("deleted_at", [5, "5", "yesterday", "2026-11-20T00:00:00", None, [], {}])
def test_a_record_that_cannot_be_read_keeps_no_other_from_use(tmp_path: Path, deleted_at: object):
    (tmp_path / "x").write_text("kept")
    forge(tmp_path, {"path": ["y"], "deleted_at": deleted_at})
    roots, settings = roots_for(tmp_path), settings_for(tmp_path, trash_days=7)
    deleted = delete(roots.place("x"), settings)
    assert list_deleted(roots.roots[0]) == [deleted]
    restore(*find_deleted(roots.roots, deleted.id))
    assert (tmp_path / "x").read_text() == "kept"


def test_what_a_record_says_of_its_item_is_not_believed(tmp_path: Path):
    record = {"path": ["y"], "kind": "x" * 9, "size": -1, "deleted_at": "2026-11-20T02:00:00+02:00"}
    forge(tmp_path, record)
    forge(tmp_path, record, "not an id\nat all")
    assert list_deleted(roots_for(tmp_path).roots[0]) == [
        Deleted(FORGED_ID, ("y",), "file", 5, "2026-11-20T00:00:00+00:00")
    ]
