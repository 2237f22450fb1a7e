"""`host doctor`: everything the host needs, checked, with what to do about each failure."""

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import typer

from host import __version__
from host.cli.client import HostClient, show_json
from host.cli.config import JSON_OPTION
from host.cli.control import ask_daemon
from host.domain.errors import HostError

Verdict = Literal["ok", "warning", "failed"]
START_WAIT = 30.0
"""Seconds for which servers that are starting are waited for."""
MARKS: dict[Verdict, str] = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        verdict: How it is.
        detail: What was found.
        advice: What to do about it; empty where nothing is to be done.
    """

    name: str
    verdict: Verdict
    detail: str
    advice: str = ""


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command("doctor")(doctor)


def doctor(as_json: bool = JSON_OPTION) -> None:
    """Check Python, configuration, store, servers and ports; exit status 1 on a failure."""
    checks: list[Check] = []
    for check in run_checks():
        checks.append(check)
        if not as_json:
            print(f"{MARKS[check.verdict]}  {check.name:<22} {check.detail}")
            if check.advice:
                print(f"{'':30}{check.advice}")
    if as_json:
        print(show_json([asdict(check) for check in checks]))
    if any(check.verdict == "failed" for check in checks):
        raise typer.Exit(1)


def run_checks() -> Iterator[Check]:
    """Yield the checks as they are made."""
    version = ".".join(map(str, sys.version_info[:3]))
    known = (3, 11) <= sys.version_info[:2] <= (3, 14)
    advice = "" if known else "The host is tested on Python 3.11 to 3.14."
    yield Check("Python", "ok" if known else "warning", f"{version} at {sys.executable}", advice)
    yield from check_commands()
    config = check_config()
    yield config
    if config.verdict == "failed":
        return
    yield from check_folders()
    yield check_keys()
    yield check_confinement()
    yield from check_daemon()


def check_commands() -> Iterator[Check]:
    """Look for other programs named `host` that come first on PATH."""
    own = Path(sys.executable).with_name("host")
    found = shutil.which("host")
    if found is None:
        use = f"Use {own}." if own.exists() else "Use `python -m host`, or install the host."
        yield Check("command", "warning", "`host` is not on PATH", use)
    elif Path(found).resolve() != own.resolve():
        yield Check(
            "command",
            "warning",
            f"`host` on PATH is {found}, another program (BIND has one)",
            "Use the alias `agent-host`.",
        )
    else:
        yield Check("command", "ok", f"`host` {__version__} at {found}")


def check_config() -> Check:
    """Read the configuration."""
    from host.config.load import load_settings

    try:
        loaded = load_settings(folder=Path.cwd())
    except HostError as error:
        return Check("configuration", "failed", str(error), "`host config check` lists everything.")
    files = [str(source.file) for source in loaded.sources if source.file]
    detail = ", ".join(files) or "built-in defaults"
    advice = " ".join(loaded.warnings)
    return Check("configuration", "warning" if advice else "ok", detail, advice)


def check_folders() -> Iterator[Check]:
    """See that the host's folders can be written."""
    from host.config.paths import user_paths

    paths = user_paths()
    for name, folder in (("data folder", paths.data), ("socket folder", paths.runtime)):
        existing = next(p for p in (folder, *folder.parents) if p.exists())
        if os.access(existing, os.W_OK):
            yield Check(name, "ok", str(folder))
        else:
            variable = "HOST_DATA_DIR" if name == "data folder" else "HOST_RUNTIME_DIR"
            yield Check(name, "failed", f"{folder} cannot be written", f"Set {variable} elsewhere.")


def check_keys() -> Check:
    """See that what the host keeps secret is closed to others, and which models have a key."""
    from host.cli.keys import stored_keys
    from host.config.paths import user_paths

    data = user_paths().data
    names = ("seal.json", "tokens.json", "store/passwords.json", "secrets/*", "oauth/*")
    files = [file for name in names for file in data.glob(name) if file.is_file()]
    unreadable = [str(file) for file in files if not os.access(file, os.R_OK)]
    if unreadable:
        advice = "Give them back to the user that runs the host."
        return Check("keys", "failed", f"{', '.join(unreadable)} cannot be read", advice)
    open_to_all = [str(file) for file in files if file.stat().st_mode & 0o077]
    if open_to_all and sys.platform != "win32":
        advice = f"Run `chmod 600 {' '.join(open_to_all)}`."
        return Check("keys", "warning", "other users can read some of the host's files", advice)
    try:
        models = ", ".join(stored_keys()) or "none, `host keys set PROVIDER` keeps one"
    except HostError as error:
        return Check("keys", "warning", str(error), "`host models list` tells more.")
    return Check(
        "keys", "ok", f"{len(files)} files, closed to others; of model providers: {models}"
    )


def check_confinement() -> Check:
    """Start one sandbox process and see which layers of confinement hold."""
    import asyncio

    from host.config.load import load_settings
    from host.sandbox.pool import confinement_report

    settings = load_settings(folder=Path.cwd()).settings.sandbox
    try:
        report = asyncio.run(confinement_report(settings))
    except HostError as error:
        return Check("plugin confinement", "warning", str(error), "Plugins will not start.")
    active = [layer.name for layer in report.layers if layer.active]
    detail = f"{settings.confinement}: {', '.join(active) or 'no layer'}"
    if report.missing:
        missing = [f"{one.name} ({one.detail})" for one in report.layers if not one.active]
        advice = f"Plugins will not start. Missing: {'; '.join(missing)}."
        return Check("plugin confinement", "warning", detail, advice)
    if settings.confinement == "reduced":
        advice = "Whatever is not listed here is open to every plugin: `reduced` requires nothing."
        return Check("plugin confinement", "warning", detail, advice)
    if not report.verified:
        advice = "Confinement on this system is not covered by the escape tests."
        return Check("plugin confinement", "warning", detail, advice)
    lacking = [one for one in report.layers if not one.active and one.name != "seatbelt"]
    without = "; ".join(f"{one.name} ({one.detail})" for one in lacking)
    return Check("plugin confinement", "ok", f"{detail}{without and f'; without {without}'}")


def check_daemon() -> Iterator[Check]:
    """Ask the daemon, which is started if need be, about the store and every server."""
    running = ask_daemon("status")
    if running is None or running["endpoint"] is None:
        yield check_port()
    try:
        with HostClient() as client:
            started = time.monotonic()
            client.request("tools/list")
            took = time.monotonic() - started
            found = _settled_status()
    except HostError as error:
        yield Check("daemon", "failed", str(error), "`host logs` shows what it said.")
        return
    yield Check("daemon", "ok", f"pid {found['pid']}, tools listed in {took * 1000:.0f} ms")
    store = found["store"]
    verdict: Verdict = "ok" if store["ready"] else "failed"
    advice = "" if store["ready"] else "`host store status` tells more."
    yield Check("store", verdict, f"{store['kind']}: {store['detail']}", advice)
    for server in found["servers"]:
        yield check_server(server)


def _settled_status() -> dict[str, Any]:
    """Return the daemon's status once no server is starting any more, or after `START_WAIT`."""
    deadline = time.monotonic() + START_WAIT
    while True:
        found: dict[str, Any] = ask_daemon("status", {"wait_for_store": True})
        starting = any(server["state"] == "starting" for server in found["servers"])
        if not starting or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def check_port() -> Check:
    """See whether the configured port is free."""
    from host.config.load import load_settings

    http = load_settings(folder=Path.cwd()).settings.http
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((http.host, http.port))
        except OSError as error:
            advice = "Set http.port, or start with `host serve --port N`."
            return Check("port", "failed", f"{http.host}:{http.port}: {error.strerror}", advice)
    return Check("port", "ok", f"{http.host}:{http.port} is free")


def check_server(server: dict[str, Any]) -> Check:
    """Judge one server by what the daemon says of it."""
    name = f"server {server['name']}"
    if server["state"] == "disabled":
        return Check(name, "ok", "disabled")
    if server["state"] == "ready":
        return Check(name, "ok", f"{server['kind']}, started in {server['latency_ms']} ms")
    if server["state"] == "starting":
        return Check(name, "warning", "still starting", f"`host logs {server['name']}` shows it.")
    said = server["error"] or server["state"]
    return Check(name, "failed", said, f"`host logs {server['name']}` shows what it said.")
