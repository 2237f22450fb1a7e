"""The bundled MCP servers; each runs alone as `python -m servers.NAME`."""
