"""Fixtures and guards shared by every test."""

import contextlib
import gc
import os
import resource
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from host.storage.account import SYSTEM_FOLDER
from host.storage.cluster import OWNER_FILE
from tests.storage.fixtures import data_folder, empty_store_folder, store_folder

LONG = (
    "approvals/test_states.py",
    "cli/test_attended.py",
    "sandbox/compiler/test_fuzz.py",
    "servers/memory/test_server.py",
    "servers/search/test_documents.py",
    "storage/test_embedded.py",
    "telemetry/test_propagation.py",
)
"""Files with few tests that take long: begun first, or one process would be left with one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first; each file stays together."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))


def pytest_configure() -> None:
    """Allow what clients, host and servers in one process need: 140 questions at once, and more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector of garbage from going through what importing every test leaves behind."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


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
