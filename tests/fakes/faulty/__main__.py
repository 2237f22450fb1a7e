"""Run the faulty server; the package's docstring says what it can do."""

import argparse

import anyio

from tests.fakes.faulty.behaviour import Faulty, Options
from tests.fakes.faulty.http import HttpFace
from tests.fakes.faulty.stdio import StdioFace


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.faulty")
    face = parser.add_mutually_exclusive_group(required=True)
    face.add_argument("--http", type=int, metavar="PORT")
    face.add_argument("--stdio", action="store_true")
    parser.add_argument("--tools", type=int, default=0)
    parser.add_argument("--start", default="")
    parser.add_argument("--list", default="")
    options = parser.parse_args()
    server = Faulty(Options(options.tools, options.start, options.list))
    if options.stdio:
        anyio.run(StdioFace(server).serve)
    else:
        anyio.run(HttpFace(server).serve, options.http)


if __name__ == "__main__":
    main()
