"""Fixtures and guards shared by every test."""
