"""The host as an MCP client: one long-lived set of connections per configured server."""
