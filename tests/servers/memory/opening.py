"""Starts the memory server as the child process that it is under the host."""

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from servers.memory.server import create_server
from servers.memory.settings import Settings

PROJECT = Path(__file__).parents[3]


def open_inside(
    monkeypatch: pytest.MonkeyPatch, folder: Path, user: str | None = None
) -> Client[Any]:
    """Return a client of a server in this process, which saves starting one."""
    monkeypatch.setenv("HOST_DATA_DIR", str(folder))
    monkeypatch.setenv("HOST_SERVER_USER", user or f"user-{secrets.token_hex(4)}")
    return Client(create_server(Settings()))


def open_server(
    folder: Path, user: str | None = None, settings: dict[str, Any] | None = None, **more: str
) -> Client[Any]:
    """Return a client of a new server process; without a user, of one nobody else has."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "HOST_DATA_DIR": str(folder),
        "HOST_SERVER_USER": user or f"user-{secrets.token_hex(4)}",
        "HOST_SERVER_CONFINE": "1",
        "HOST_SERVER_SETTINGS": json.dumps(settings or {}),
    }
    words = ["-m", "servers.memory"]
    return Client(
        StdioTransport(
            sys.executable, words, env={**environment, **more}, cwd="/", keep_alive=False
        )
    )
