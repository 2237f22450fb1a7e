"""The stdio face: a thin relay of lines between an IDE and the daemon's private socket.

An IDE starts it once per window, so it imports nothing outside the standard library, and of that
little. It starts the daemon where none runs, and survives the daemon's restart: the handshake is
said again to the new one, and what was being served when the old one ended gets an error.
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from typing import Any, cast

from host.cli.lines import CHUNK, Tally, read_lines
from host.config.runtime import begin_log, data_folder, socket_path

START_LIMIT = 60.0
"""Seconds that a daemon may take until it accepts connections."""
FAREWELL = 30.0
"""Seconds for which answers are still waited for after the client closed its end."""
MESSAGE_LINES = 20
APART = 0.01
"""Seconds between a notification and an answer after it.

The TypeScript SDK handles a notification one step later than an answer, so that progress which
arrives in the same chunk as the answer is lost on it.
"""
WELCOME = b"\n"
"""What the daemon says first."""

_ANSWER = re.compile(rb'\{"jsonrpc":"2\.0","id":(-?\d+|"(?:[^"\\]|\\.)*"),"(?:result|error)":')
"""How the daemon begins each answer."""
_REPEATED = frozenset(
    {
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "ping",
        "server/discover",
        "logging/setLevel",
        "resources/subscribe",
    }
)
"""Requests that change nothing and are sent again to a new daemon."""
_REMEMBERED = frozenset({"logging/setLevel", "resources/subscribe"})
"""Requests whose effect a new daemon has to know of."""
_LOST = -32000
RUNNING = 75
"""Exit status of a daemon that found another one, which may be ending (`EX_TEMPFAIL`)."""


def run_bridge(arguments: list[str]) -> int:
    """Relay standard input and output to the daemon until either side closes.

    Args:
        arguments: The words after `serve`.

    Returns:
        The exit status.
    """
    words = [word for word in arguments if word != "--stdio"]
    if words and not (len(words) == 2 and words[0] == "--config"):
        print(f"host serve --stdio takes --config FILE only, not {words[0]!r}", file=sys.stderr)
        return 2
    try:
        return Bridge(words).run()
    except BridgeError as error:
        print(f"host: {error}", file=sys.stderr)
        return 1


class BridgeError(Exception):
    """The daemon cannot be reached."""


class Bridge:
    """One client on standard input and output.

    Args:
        options: Words that a daemon is started with.
        hello: What the daemon is told that this is.
    """

    def __init__(self, options: list[str], *, hello: str = "mcp") -> None:
        self._options = options
        self._kind = hello
        self._path = str(socket_path())
        self._lock = threading.RLock()
        self._socket: socket.socket | None = None
        self._tally = Tally(self._path)
        self._in_flight: dict[str, bytes] = {}
        self._places: dict[str, int] = {}
        self._handshake: list[bytes] = []
        self._remembered: dict[str, bytes] = {}
        self._unsent: list[bytes] = []
        self._skipped: set[str] = set()
        self._ended = threading.Event()
        self._said_at = 0.0

    def run(self) -> int:
        """Relay until the client closes its end."""
        self._socket = self.connect()
        threading.Thread(target=self._read_client, daemon=True).start()
        while not self._ended.is_set():
            self._read_daemon()
            if not self._ended.is_set():
                self._reconnect()
        return 0

    def connect(self) -> socket.socket:
        """Return a connection to the daemon, which is started if need be."""
        deadline = time.monotonic() + START_LIMIT
        started: subprocess.Popen[bytes] | None = None
        while True:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            if self._try_connect(client):
                return client
            if started is None:
                started = self._start_daemon()
            elif started.poll() == RUNNING:
                started = None  # the one that runs answers soon, or is ending
            elif started.poll() not in (None, 0):
                raise BridgeError(f"the daemon could not start; {_last_words()}")
            if time.monotonic() > deadline:
                raise BridgeError(f"no daemon answers at {self._path}; {_last_words()}")
            time.sleep(0.01)

    def _try_connect(self, client: socket.socket) -> bool:
        """Whether the daemon has welcomed this client.

        A connection alone says nothing: the socket of a process that is being killed still accepts
        for a moment.
        """
        try:
            client.connect(self._path)
            with self._tally.begin() as tally:
                client.sendall(self._hello(tally))
                welcomed = client.recv(1) == WELCOME
        except OSError:
            welcomed = False
        if not welcomed:
            client.close()
        return welcomed

    def _hello(self, tally: str) -> bytes:
        hello: dict[str, Any] = {"hello": self._kind, "folder": os.getcwd()}  # noqa: PTH109 - starts faster
        hello["tally"] = tally
        token = os.environ.get("HOST_TOKEN")
        if token:
            hello["token"] = token
        return json.dumps(hello).encode() + b"\n"

    def _start_daemon(self) -> subprocess.Popen[bytes]:
        """Start a daemon that outlives this process and writes to a log file."""
        with begin_log(data_folder() / "logs").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own module, a fixed argument list
                [sys.executable, "-P", "-m", "host", "serve", "--background", *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _read_client(self) -> None:
        """Relay the client's lines to the daemon."""
        for line in read_lines(0):
            if line.strip():
                self._forward(line + b"\n")
        self._leave()

    def _forward(self, line: bytes) -> None:
        with self._lock:
            key = self._note(line)
            if key is not None:
                self._places[key] = self._tally.sent
            try:
                if self._socket is not None:
                    self._socket.sendall(line)
                    self._tally.sent += 1
            except OSError:
                # The daemon is gone; a part of a line does nothing. The reading side reconnects.
                self._unsent.append(line)

    def _note(self, line: bytes) -> str | None:
        """Remember what a new daemon would have to know, and what is being waited for.

        Returns:
            The key of a request that is waited for from now on.
        """
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return None  # the daemon says what is wrong with it
        if not isinstance(message, dict):
            return None
        body = cast("dict[str, Any]", message)
        method = body.get("method")
        if method == "initialize":
            self._handshake = [line]
        elif method == "notifications/initialized":
            self._handshake.append(line)
        if type(body.get("id")) in (str, int) and isinstance(method, str):  # `true` is no id
            key = json.dumps(body["id"])
            self._in_flight[key] = line
            self._remember(method, body, line)
            return key
        if method == "notifications/cancelled" and isinstance(body.get("params"), dict):
            # A cancelled request is not answered: nobody waits for it any more.
            self._in_flight.pop(json.dumps(body["params"].get("requestId")), None)
        return None

    def _remember(self, method: str, body: dict[str, Any], line: bytes) -> None:
        """Keep a request whose effect lasts, until a later one takes its place or undoes it."""
        params = body.get("params")
        uri = cast("dict[str, Any]", params).get("uri") if isinstance(params, dict) else None
        if method in _REMEMBERED:
            self._remembered[f"{method} {uri}"] = line
        elif method == "resources/unsubscribe":
            self._remembered.pop(f"resources/subscribe {uri}", None)

    def _leave(self) -> None:
        """The client closed its end: wait for what is still being served, then go."""
        deadline = time.monotonic() + FAREWELL
        if self._in_flight:
            self._forward(b'{"jsonrpc":"2.0","method":"notifications/host/leaving"}\n')
        while self._in_flight and time.monotonic() < deadline:
            time.sleep(0.005)
        self._ended.set()
        with self._lock:
            if self._socket is not None:
                self._socket.close()
        os._exit(0)

    def _read_daemon(self) -> None:
        """Relay the daemon's lines to the client until the daemon closes its end."""
        source = self._socket
        assert source is not None  # noqa: S101 - set by run
        buffer: list[bytes] = []
        while True:
            try:
                chunk = source.recv(CHUNK)
            except OSError:
                return
            if not chunk:
                return
            end = chunk.rfind(b"\n") + 1
            if not end:
                buffer.append(chunk)
                continue
            whole = b"".join([*buffer, chunk[:end]])
            buffer = [chunk[end:]] if end < len(chunk) else []
            self._deliver(whole)

    def _deliver(self, lines: bytes) -> None:
        """Write whole lines to the client, without answers to a repeated handshake."""
        kept: list[bytes] = []
        answered: list[str] = []
        for line in lines.splitlines(keepends=True):
            found = _ANSWER.match(line)
            if found is None:
                self._said_at = time.monotonic()
                kept.append(line)
                continue
            key = json.dumps(json.loads(found.group(1)))  # as `_note` writes it
            if key in self._skipped:
                self._skipped.discard(key)
                continue
            pause = self._said_at + APART - time.monotonic()
            if pause > 0:
                _write(b"".join(kept))
                kept = []
                time.sleep(pause)
            answered.append(key)
            kept.append(line)
        _write(b"".join(kept))
        for key in answered:
            self._in_flight.pop(key, None)
            self._places.pop(key, None)

    def _reconnect(self) -> None:
        """Begin again with a new daemon, without doing anything twice."""
        taken = self._tally.taken()
        fresh = self.connect()
        with self._lock:
            self._socket = fresh
            waiting, self._in_flight = self._in_flight, {}
            places, self._places = self._places, {}
            unsent, self._unsent = self._unsent, []
            # Whatever the old one did not take from its socket certainly did nothing.
            untaken = [one for key, one in waiting.items() if places.get(key, -1) >= taken]
            unsent = [*(one for one in untaken if one not in unsent), *unsent]
            repeated = [*self._handshake, *self._remembered.values()]
            for line in repeated:
                message = json.loads(line)
                key = json.dumps(message["id"]) if "id" in message else None
                if key is not None and key not in waiting:
                    self._skipped.add(key)
                self._say(fresh, line)
            for key, line in waiting.items():
                if line in repeated or line in unsent:
                    self._in_flight[key] = line
                else:
                    self._settle_lost(fresh, key, line)
            for line in unsent:
                if line not in repeated:
                    self._say(fresh, line)
            if self._handshake:
                for kind in ("tools", "prompts", "resources"):
                    method = f"notifications/{kind}/list_changed"
                    _write(json.dumps({"jsonrpc": "2.0", "method": method}).encode() + b"\n")

    def _say(self, fresh: socket.socket, line: bytes) -> None:
        """Send a line to a new daemon; if that one ends as well, it is left to the next."""
        for key, known in self._in_flight.items():
            if known is line:
                self._places[key] = self._tally.sent
        try:
            fresh.sendall(line)
            self._tally.sent += 1
        except OSError:
            self._unsent.append(line)

    def _settle_lost(self, fresh: socket.socket, key: str, line: bytes) -> None:
        """Repeat a request that changes nothing; answer any other with an error."""
        if json.loads(line)["method"] in _REPEATED:
            self._in_flight[key] = line
            self._say(fresh, line)
        else:
            text = (
                "The host ended while it served this; whether it took effect is not known. "
                "`host audit tail` may tell."
            )
            error = {"code": _LOST, "message": text}
            answer = {"jsonrpc": "2.0", "id": json.loads(key), "error": error}
            _write(json.dumps(answer).encode() + b"\n")


def _write(data: bytes) -> None:
    """Write everything to standard output."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(1, view) :]
        except OSError:
            os._exit(0)  # the client is gone


def _last_words() -> str:
    """Return the last message of the daemon's log; one of several lines is told whole."""
    path = data_folder() / "logs" / "daemon.log"
    try:
        lines = path.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return f"see {path}"
    if not lines:
        return f"see {path}"
    message = [lines.pop()]
    while lines and message[0].startswith("  ") and len(message) < MESSAGE_LINES:
        message.insert(0, lines.pop())
    return "it said: " + "\n".join(message)
