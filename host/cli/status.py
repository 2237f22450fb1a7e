"""`host status`, `host stop` and `host logs`: the running daemon."""

import time
from collections import deque
from pathlib import Path
from typing import Any

import typer

from host.cli.client import show_json
from host.cli.config import JSON_OPTION
from host.cli.control import ask_daemon, stop_daemon
from host.domain.errors import NotFoundError


def register(root: typer.Typer) -> None:
    """Add `host status`."""
    root.command("status")(status)


def status(as_json: bool = JSON_OPTION) -> None:
    """Show whether the daemon runs, and how each server is doing; exit status 3 if it does not."""
    found = ask_daemon("status")
    if as_json:
        print(show_json(found))
    elif found is None:
        print("No daemon runs. `host serve` starts one; a client's `host serve --stdio` does too.")
    else:
        _print_status(found)
    if found is None:
        raise typer.Exit(3)


def _print_status(found: dict[str, Any]) -> None:
    how = "in the background" if found["background"] else "in the foreground"
    print(f"running   {how}, pid {found['pid']}, version {found['version']}")
    print(f"up        {found['uptime_s']} s, {found['clients']} clients on the socket")
    if found["endpoint"]:
        print(f"endpoint  {found['endpoint']}")
    print(f"config    {', '.join(found['config']) or 'built-in defaults'}")
    print(f"store     {found['store']['kind']}, {found['store']['detail']}")
    if found["config_error"]:
        print(f"\nThe last edit is not in force: {found['config_error']}")
    for warning in found["warnings"]:
        print(f"warning   {warning}")
    print()
    for server in found["servers"]:
        latency = f"{server['latency_ms']} ms" if server["latency_ms"] is not None else ""
        row = f"{server['name']:<16} {server['kind']:<8} {server['state']:<9} {latency:<8}"
        print(f"{row} {server['error'] or ''}".rstrip())


def register_stop(root: typer.Typer) -> None:
    """Add `host stop`."""
    root.command("stop")(stop)


def stop() -> None:
    """Stop the daemon, after the calls in flight; bridges start a new one when they need it."""
    pid = stop_daemon()
    print("No daemon runs." if pid is None else f"Stopped (pid {pid}).")


def register_logs(root: typer.Typer) -> None:
    """Add `host logs`."""
    root.command("logs")(logs)


def logs(
    server: str | None = typer.Argument(None, help="A server's standard error; the daemon's log."),
    lines: int = typer.Option(50, "--lines", "-n", min=0, help="How many lines to begin with."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on with what is written."),
) -> None:
    """Print the log of the daemon, or of one server."""
    from host.config.paths import user_paths

    folder = user_paths().logs
    path = folder / f"{server or 'daemon'}.log"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.log"))
        raise NotFoundError("log", server or "daemon", known, next_step=_where(known, folder))
    print_log(path, lines=lines, follow=follow)


def _where(known: list[str], folder: Path) -> str:
    return f"Logs there are: {', '.join(known)}." if known else f"{folder} has none yet."


def print_log(path: Path, *, lines: int, follow: bool) -> None:
    """Print the end of a log file, and go on with what is written if asked to."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in deque(file, maxlen=lines):
            print(line, end="")
        while follow:
            line = file.readline()
            if line:
                print(line, end="", flush=True)
            else:
                time.sleep(0.2)
