"""The host as an MCP server: its faces towards clients, and the daemon that serves them."""
