"""Scaffolds MCP servers, plugins, agents and policies: a specification in, files out.

Imports nothing of the host.
"""
