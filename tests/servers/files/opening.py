"""Opens served folders for tests, with settings that tests vary."""

import ctypes
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers.files.roots import Roots, open_roots
from servers.files.settings import Settings


def settings_for(folder: Path, **changes: Any) -> Settings:
    """Settings that serve one folder."""
    return Settings.model_validate({"roots": [str(folder)], **changes})


def roots_for(folder: Path, **changes: Any) -> Roots:
    """One folder, opened."""
    return open_roots(settings_for(folder, **changes))


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def swapping(one: Path, other: Path) -> Generator[None]:
    """Exchange two paths over and over, each time in one step (renameat2, RENAME_EXCHANGE)."""
    exchange = ctypes.CDLL(None, use_errno=True).renameat2
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            exchange(-100, os.fsencode(one), -100, os.fsencode(other), ctypes.c_uint(2))

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
