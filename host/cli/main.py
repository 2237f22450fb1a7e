"""The `host` command: a table of commands whose modules are imported only when they are used."""

import importlib
import os
import sys

import typer

from host import __version__
from host.domain.errors import HostError

COMMANDS: dict[str, tuple[str, str]] = {
    "audit": ("host.cli.audit", "The record of every call."),
    "approvals": ("host.cli.approvals", "See what waits for a yes, and answer it."),
    "grants": ("host.cli.grants", "List and revoke remembered approvals."),
    "store": ("host.cli.store", "The database."),
    "memory": ("host.cli.memory", "What agents remember."),
    "backup": ("host.cli.store", "Save the whole store to one file, while it is in use."),
    "restore": ("host.cli.store", "Put a backup in the store's place."),
    "run": ("host.cli.run", "Ask an agent once."),
    "chat": ("host.cli.chat", "Talk with an agent."),
    "agents": ("host.cli.agents", "List, show, check and begin agents."),
    "runs": ("host.cli.runs", "What agents did: list, show, follow, replay, resume, cancel."),
    "prompts": ("host.cli.prompts", "List, show and fill in prompts of the library."),
    "serve": ("host.cli.serve", "Start the host: HTTP and stdio clients, one daemon."),
    "status": ("host.cli.status", "Show the running daemon and its servers."),
    "stop": ("host.cli.stop", "Stop the daemon."),
    "logs": ("host.cli.logs", "Print the daemon's log, or a server's."),
    "tools": ("host.cli.tools", "List and show the tools of all servers."),
    "call": ("host.cli.call", "Call a tool."),
    "doctor": ("host.cli.doctor", "Check everything the host needs, and say what to do."),
    "init": ("host.cli.init", "Write a commented host.yaml to start from."),
    "config": ("host.cli.config", "Check, show and find the configuration."),
    "servers": ("host.cli.servers", "List, add, remove and import tool servers."),
    "trust": ("host.cli.trust", "Let a working folder's configuration take part."),
    "tokens": ("host.cli.tokens", "Make, list and revoke the clients' tokens."),
    "models": ("host.cli.models", "List and try language models."),
    "keys": ("host.cli.keys", "Keep the API keys of model providers."),
    "policy": ("host.cli.policy", "Write, explain and try out policies."),
    "taint": ("host.cli.taint", "Show what clients have met, and let them begin anew."),
    "plugins": ("host.cli.plugins", "Write, check, test and install plugins."),
    "new-server": ("host.cli.new_server", "Make a project for a new MCP server."),
    "new-plugin": ("host.cli.new_part", "Write a plugin to start from."),
    "new-agent": ("host.cli.new_part", "Write an agent's file to start from."),
    "new-policy": ("host.cli.new_part", "Write a policy to start from."),
    "test-server": ("host.cli.test_server", "Test any MCP server, as a stranger would."),
    "install": ("host.cli.install", "Put the host into an MCP client, or take it out."),
}
"""Command name → (module that has `register(root)`, one line of help), in the order of help."""


def _print_version(value: bool) -> None:
    if value:
        print(f"mcp-agent-host {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version and exit.",
    ),
) -> None:
    """One MCP endpoint behind which every tool call is checked, asked about and recorded."""


def _absent() -> None:
    """Stand for a command whose module was not asked for."""


def build_app(wanted: str | None) -> typer.Typer:
    """Return the command line with the module of one command loaded; None loads all of them.

    Args:
        wanted: A key of `COMMANDS`; any other text loads no module, so that `--help` is fast.
    """
    root = typer.Typer(
        name="host", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    root.callback()(_root)
    for name, (module, text) in COMMANDS.items():
        if wanted in (None, name):
            importlib.import_module(module).register(root)
        else:
            root.command(name, help=text)(_absent)
    return root


def run() -> None:
    """Run the command line; an expected error is printed in one paragraph, without a traceback."""
    completing = "_HOST_COMPLETE" in os.environ or "_AGENT_HOST_COMPLETE" in os.environ
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    try:
        build_app(None if completing else words[0] if words else "")()
    except HostError as error:
        print(f"host: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
