"""Secrets: where credentials are kept, how state is sealed, and what is hidden in records."""
