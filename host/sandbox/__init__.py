"""Plugins from strangers: compiled to a safe subset, run in a confined process."""
