"""`host logs`: what the daemon and the servers wrote."""

import typer

from host.cli.status import register_logs


def register(root: typer.Typer) -> None:
    """Add the command."""
    register_logs(root)
