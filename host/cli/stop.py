"""`host stop`: end the daemon."""

import typer

from host.cli.status import register_stop


def register(root: typer.Typer) -> None:
    """Add the command."""
    register_stop(root)
