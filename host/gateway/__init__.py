"""Upstream sessions, the catalog, and the one path that every tool call takes."""
