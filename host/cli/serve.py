"""`host serve`, `host status`, `host stop` and `host logs`: the daemon's life."""

from pathlib import Path
from typing import Annotated

import typer


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command("serve")(serve)


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", help="Configuration file.", exists=False)
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port in place of the configured one.")] = None,
    host: Annotated[
        str | None, typer.Option(help="Address in place of the configured one.")
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Let every program on this machine in, on loopback.")
    ] = False,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Serve one client on standard input and output.")
    ] = False,
    background: Annotated[bool, typer.Option("--background", hidden=True)] = False,
) -> None:
    """Start the host in the foreground, on HTTP and for stdio clients."""
    from host.cli.bridge import RUNNING
    from host.config.settings import LogConfig
    from host.domain.errors import DaemonRunningError
    from host.orchestrator.daemon import DaemonOptions, run_daemon
    from host.secrets.redaction import Redactor
    from host.telemetry.log import configure_log

    # Until the configuration has been read; it may say otherwise.
    configure_log(LogConfig(), Redactor().redact_text, timed=background)
    folder = None if background else Path.cwd()
    options = DaemonOptions(
        config=config,
        background=background,
        port=port,
        address=host,
        no_auth=no_auth,
        folder=folder,
    )
    take_over(background=background)
    try:
        run_daemon(options)
    except DaemonRunningError:
        if not background:
            raise
        raise typer.Exit(RUNNING) from None  # the bridge that started it knows what that means


def take_over(*, background: bool) -> None:
    """Stop a daemon that a bridge started, so that this one can serve in its place."""
    from host.cli.control import ask_daemon, stop_daemon

    running = None if background else ask_daemon("status")
    if running is not None and running["background"]:
        typer.echo(
            f"taking over from the daemon in the background (pid {running['pid']})", err=True
        )
        stop_daemon()
