"""Fixtures and guards shared by every test."""

import contextlib
import os
import resource
import shutil
import tempfile
from pathlib import Path

import pytest

from host.storage.account import SYSTEM_FOLDER
from host.storage.cluster import OWNER_FILE
from tests.storage.fixtures import data_folder, empty_store_folder, store_folder


def pytest_configure() -> None:
    """Allow what clients, host and servers in one process need: 140 questions at once, and more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Remove the databases of root's tests: they lie outside the folders that tests remove."""
    if nextitem is None or nextitem.path != item.path:
        with contextlib.suppress(OSError):
            for home in SYSTEM_FOLDER.iterdir():
                if _is_forgotten(home):
                    shutil.rmtree(home, ignore_errors=True)


def _is_forgotten(home: Path) -> bool:
    """Whether a cluster belongs to a temporary folder that is gone, and nobody runs it."""
    try:
        owner = Path(os.fsdecode((home / OWNER_FILE).read_bytes()))
    except OSError:
        return False
    if owner.exists() or not owner.is_relative_to(tempfile.gettempdir()):
        return False
    try:
        pid = int((home / "data" / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return True
    return not Path(f"/proc/{pid}").exists()


__all__ = ["data_folder", "empty_store_folder", "store_folder"]
