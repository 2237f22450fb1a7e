"""Secrets: what is hidden in records, and where credentials are kept."""
