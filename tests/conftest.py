"""Fixtures and guards shared by every test."""

import resource

from tests.storage.fixtures import data_folder, empty_store_folder, store_folder


def pytest_configure() -> None:
    """Allow what clients, host and servers in one process need: 140 questions at once, and more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))


__all__ = ["data_folder", "empty_store_folder", "store_folder"]
