"""`host call`: one tool call from a terminal."""

import typer

from host.cli.tools import register_call


def register(root: typer.Typer) -> None:
    """Add the command."""
    register_call(root)
