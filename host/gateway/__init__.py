"""The one path to a tool: upstream sessions, the catalog, names, and the call pipeline."""
