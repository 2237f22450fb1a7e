"""Fixtures and guards shared by every test."""

from tests.storage.fixtures import data_folder, empty_store_folder, store_folder

__all__ = ["data_folder", "empty_store_folder", "store_folder"]
