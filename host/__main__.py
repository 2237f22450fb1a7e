"""Entry point of the `host` and `agent-host` commands and of `python -m host`."""

import sys


def main() -> None:
    """Run the command line; the stdio bridge goes first, because it must not import Typer."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"] and "--stdio" in arguments and "--help" not in arguments:
        from host.cli.bridge import run_bridge

        sys.exit(run_bridge(arguments[1:]))
    from host.cli.main import run

    run()


if __name__ == "__main__":
    main()
