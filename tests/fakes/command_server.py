"""Runs commands of the host, each in a process of its own that need not import anything first.

A process forked from this one has its own arguments, folder, environment, input and output, ends as
a program does, and has spared the second that importing takes. Started by `tests.fakes.command`.
"""

import contextlib
import gc
import importlib
import json
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import host.__main__
from host.cli.main import COMMANDS

NUMBER = struct.Struct("!i")
"""How a process's number and an exit status are told."""
_LATE = ("host.agents.casting", "host.app", "host.models.scripted", "host.orchestrator.daemon")
"""What commands import when they run."""


def serve(connection: socket.socket) -> dict[str, Any] | None:
    """Fork a process a request until nobody asks any more; in such a process, return the request.

    An answer is the process's number, and when it has ended its exit status.
    """
    while True:
        data, descriptors, _flags, _from = socket.recv_fds(connection, 65_536, 3)
        if not data:
            return None
        while not data.endswith(b"\n"):
            data += connection.recv(65_536)
        child = os.fork()
        if child == 0:
            for place, descriptor in enumerate(descriptors):
                os.dup2(descriptor, place)
                os.close(descriptor)
            return json.loads(data)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(NUMBER.pack(child))
        _, status = os.waitpid(child, 0)
        connection.send(NUMBER.pack(os.waitstatus_to_exitcode(status)))


def main() -> None:
    """Import everything, serve, and in a forked process be the host."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    for module in {*(module for module, _ in COMMANDS.values()), *_LATE}:
        importlib.import_module(module)
    gc.freeze()
    request = serve(connection)
    connection.close()
    if request is None:
        return
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environ"])
    sys.argv = [str(Path(host.__main__.__file__)), *request["words"]]
    host.__main__.main()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
