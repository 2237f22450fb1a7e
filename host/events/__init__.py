"""The run journal: runs and their ordered, append-only events."""
