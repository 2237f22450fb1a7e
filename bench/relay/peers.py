"""The peers of the host, as programs: `python -m bench.relay.peers proxy|one-tool …`.

`proxy` is a FastMCP proxy in front of a server (`--url` or a stdio command), on stdio or with
`--http PORT`; `one-tool` is a FastMCP server with one tool on stdio, the yardstick of start-up.
"""

import argparse
import sys

from fastmcp import FastMCP
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.server import create_proxy


def _serve(server: "FastMCP[object]", port: int | None) -> None:
    if port is None:
        server.run("stdio", show_banner=False)
    else:
        server.run("http", host="127.0.0.1", port=port, show_banner=False, log_level="error")


def _proxy(url: str | None, command: list[str]) -> "FastMCP[object]":
    if url is not None:
        return create_proxy(StreamableHttpTransport(url))
    return create_proxy(StdioTransport(command[0], command[1:]))


def main() -> None:
    """Serve the peer that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.relay.peers")
    parser.add_argument("peer", choices=["proxy", "one-tool"])
    parser.add_argument("--url")
    parser.add_argument("--http", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.peer == "proxy":
        _serve(_proxy(options.url, options.command), options.http)
        return
    server: FastMCP[object] = FastMCP("one-tool")

    @server.tool
    def echo(text: str) -> str:
        """Answer with the text."""
        return text

    _serve(server, options.http)


if __name__ == "__main__":
    sys.exit(main())
