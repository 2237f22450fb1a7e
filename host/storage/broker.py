"""The process that opens the embedded store on behalf of one that confines itself.

A confined process must not start PostgreSQL: the server would be confined with it, for everybody.
So it starts a broker before, which stays as it is, asleep. When the store is asked for, the broker
runs a program that opens it as any user of it does and hands over what the confined process needs
and no more: where the server listens, the password of the role `app`, and the lock that says that
somebody uses it. Like the watcher, it imports only the standard library and costs a few megabytes.
"""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

MESSAGE = 1 << 16
"""Longest message, in bytes."""


def spawn_broker(data_folder: Path) -> socket.socket:
    """Start a broker that ends with this process; return the connection to it.

    Args:
        data_folder: The user's data folder, whose store is meant.
    """
    own, others = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with others:
        subprocess.Popen(  # noqa: S603  this Python
            [sys.executable, "-I", "-S", *_program("serve", others.fileno(), data_folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            pass_fds=(others.fileno(),),
        )
    return own


def serve(descriptor: int, data_folder: str) -> None:
    """Open the store each time it is asked for, until the confined process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: it ends with who started it
    command = [sys.executable, "-P", *_program("hand_over", descriptor, Path(data_folder))]
    with socket.socket(fileno=descriptor) as link, contextlib.suppress(ConnectionError):
        while link.recv(MESSAGE):
            subprocess.run(command, pass_fds=(descriptor,), check=False)  # noqa: S603  this Python


def hand_over(descriptor: int, data_folder: str) -> None:
    """Open the store and send what is needed to use it; the program that a broker runs."""
    from host.domain.errors import StoreError  # noqa: PLC0415  not in the broker itself
    from host.storage.connector import EmbeddedConnector  # noqa: PLC0415  nor this

    connector = EmbeddedConnector(Path(data_folder))
    with socket.socket(fileno=descriptor) as link, contextlib.suppress(ConnectionError):

        def send(**answer: object) -> None:
            link.send(json.dumps(answer).encode())

        try:
            connector.prepare(lambda text: send(tell=text), threading.Event())
        except StoreError as error:
            send(error=error.message, next_step=error.next_step)
            return
        except Exception as error:  # noqa: BLE001  a child process's boundary: it must answer
            send(error=f"The store could not be opened: {error}", next_step="See `host doctor`.")
            return
        answer = {"conninfo": connector.conninfo("app")}
        socket.send_fds(link, [json.dumps(answer).encode()], [connector.server.users_descriptor])


def _program(name: str, descriptor: int, data_folder: Path) -> list[str]:
    """Return the arguments of a Python that runs one of these functions."""
    root = str(Path(__file__).parents[2])
    code = (
        f"import sys; sys.path.insert(0, {root!r});"
        f"from host.storage.broker import {name}; {name}(int(sys.argv[1]), sys.argv[2])"
    )
    return ["-c", code, str(descriptor), str(data_folder)]
