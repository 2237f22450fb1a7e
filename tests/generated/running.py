"""Runs generated servers over HTTP, with what stands around them: services, keys, a relay."""

import json
import os
import socket
import socketserver
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from fastmcp.server.auth.providers.jwt import RSAKeyPair
from joserfc.jwk import RSAKey
from typing_extensions import override

from tests.conformance.host_process import end, free_port

SECONDS = 300
ISSUER, PUBLIC = "https://login.example.com/", "https://server.example.com/"


@dataclass(frozen=True)
class Credentials:
    """What servers and their clients need to know of each other."""

    keys: RSAKeyPair
    bearer: str = "a-token-for-tests"
    jwks_url: str = ""

    @classmethod
    def generate(cls) -> "Credentials":
        """Return credentials with a pair of keys of their own."""
        return cls(RSAKeyPair.generate())

    @property
    def published(self) -> dict[str, Any]:
        """The public key as an authorization server publishes it."""
        key = RSAKey.import_key(self.keys.public_key).as_dict(private=False)
        return {**key, "use": "sig", "alg": "RS256"}

    def settings(self, auth: str) -> dict[str, str]:
        """Return the settings that a server with this authentication needs."""
        oauth = {"OAUTH_ISSUER": ISSUER, "OAUTH_JWKS_URL": self.jwks_url, "PUBLIC_URL": PUBLIC}
        return {"bearer": {"AUTH_TOKEN": self.bearer}, "oauth": oauth}.get(auth, {})

    def token(self, auth: str, *, audience: str = PUBLIC) -> str:
        """Return a token that such a server takes; empty where it asks for none."""
        signed = self.keys.create_token(issuer=ISSUER, audience=audience)
        return {"bearer": self.bearer, "oauth": signed}.get(auth, "")


class Servable(Protocol):
    """What `served` needs to know of a project."""

    @property
    def name(self) -> str: ...

    @property
    def package(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    @property
    def python(self) -> Path: ...

    @property
    def environ(self) -> dict[str, str]: ...


@dataclass(frozen=True)
class _Started:
    process: "subprocess.Popen[bytes]"
    url: str
    log: Path

    def wait(self) -> None:
        until = time.monotonic() + SECONDS
        while status(self.url) is None:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, f"{self.url} is silent: {self.log.read_text()}"
            time.sleep(0.05)


def _start(one: Servable) -> _Started:
    port = free_port()
    log = one.folder / "http.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [one.python, "-m", one.package, "--transport", "http", "--port", str(port)],
            start_new_session=True,
            stderr=output,
            env={**os.environ, **one.environ},
        )
    return _Started(process, f"http://127.0.0.1:{port}/mcp", log)


@contextmanager
def served(projects: Iterable[Servable]) -> Generator[dict[str, str]]:
    """Start projects over HTTP, all at once, and yield their addresses by their names."""
    with ExitStack() as stack:
        started: dict[str, _Started] = {}
        for one in projects:
            started[one.name] = _start(one)
            stack.callback(end, started[one.name].process)
        for server in started.values():
            server.wait()
        yield {name: server.url for name, server in started.items()}


class Running:
    """Serves one project at a time: the last that was asked for."""

    def __init__(self, find: Callable[[str], Servable]) -> None:
        self._find = find
        self._name = ""
        self._url = ""
        self._stack = ExitStack()

    def __getitem__(self, name: str) -> str:
        if name != self._name:
            self.end()
            urls = self._stack.enter_context(served([self._find(name)]))
            self._name, self._url = name, urls[name]
        return self._url

    def end(self) -> None:
        """End the server."""
        self._name = ""
        self._stack.close()


def status(url: str, token: str = "") -> int | None:
    """Return the HTTP status of an empty request, None if nothing listens."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, method="POST", headers=headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None


@contextmanager
def serving_json(value: object) -> Generator[str]:
    """Answer every request on loopback with a JSON document and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            data = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the base's names

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    with _threaded(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _threaded(server: socketserver.TCPServer) -> Generator[int]:
    """Serve in a thread and yield the port."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def with_token(url: str, token: str) -> Generator[str]:
    """Relay to a server what comes in, each request with a token: for a client that has none."""
    if not token:
        yield url
        return
    target = (urlsplit(url).hostname or "", urlsplit(url).port or 80)

    class Handler(socketserver.StreamRequestHandler):
        @override
        def handle(self) -> None:
            with socket.create_connection(target, timeout=SECONDS) as upstream:
                back = threading.Thread(target=self._back, args=(upstream,))
                back.start()
                with suppress(OSError):  # either side may leave whenever it likes
                    while self._request(upstream):
                        pass
                with suppress(OSError):
                    upstream.shutdown(socket.SHUT_RDWR)
                back.join()

        def _request(self, upstream: socket.socket) -> bool:
            length, lines = 0, list[bytes]()
            for line in self.rfile:
                if not line.strip():
                    break
                lines.append(line)
                name, _, text = line.partition(b":")
                length = int(text) if name.lower() == b"content-length" else length
            if not lines:
                return False
            proof = f"Authorization: Bearer {token}\r\n\r\n".encode()
            upstream.sendall(b"".join(lines) + proof + self.rfile.read(length))
            return True

        def _back(self, upstream: socket.socket) -> None:
            with suppress(OSError):
                while data := upstream.recv(65_536):
                    self.wfile.write(data)

    class Relay(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with _threaded(Relay(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}{urlsplit(url).path}"
