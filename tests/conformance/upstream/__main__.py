"""Run the conformance upstream: `python -m tests.conformance.upstream --http PORT | --stdio`."""

import argparse
import functools
import warnings

import anyio
from mcp.shared.exceptions import MCPDeprecationWarning

from tests.conformance.upstream.face import serve_http, serve_stdio
from tests.conformance.upstream.hub import Hub
from tests.conformance.upstream.server import build_upstream


def main() -> None:
    """Parse the command line and serve until stdin closes or a signal arrives."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.upstream")
    face = parser.add_mutually_exclusive_group(required=True)
    face.add_argument("--http", type=int, metavar="PORT", help="serve HTTP; 0 takes a free port")
    face.add_argument("--stdio", action="store_true", help="serve stdin and stdout")
    parser.add_argument("--era", choices=["both", "handshake", "stateless"], default="both")
    parser.add_argument("--page", type=int, help="tools to a page of tools/list; all by default")
    options = parser.parse_args()
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    hub = Hub()
    server = build_upstream(hub, page=options.page)
    if options.stdio:
        anyio.run(functools.partial(serve_stdio, server, hub, options.era))
    else:
        anyio.run(functools.partial(serve_http, server, options.http, options.era))


if __name__ == "__main__":
    main()
