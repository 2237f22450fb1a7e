"""One MCP endpoint behind which every tool call is checked, asked about and recorded.

Nothing is imported here eagerly, so that `host --help` and the stdio bridge start in milliseconds.
"""

__version__ = "0.1.0"
