"""Tests any MCP server as a stranger would: lists, schemas, good and bad calls, in both eras."""
