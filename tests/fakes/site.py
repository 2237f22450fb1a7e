"""A web site on loopback whose pages a test writes; it records what it was asked."""

import json
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    chunks: Iterator[bytes] | None = None
    """Sent one after another instead of `body`, until the client hangs up."""


Page = Callable[[Asked], Reply]


def json_reply(value: object, status: int = 200, **headers: str) -> Reply:
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return Reply(json.dumps(value).encode(), status, {"Content-Type": "application/json", **named})


def html_reply(text: str) -> Reply:
    return Reply(text.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


class Site:
    """Serves `pages` by path; anything else is 404."""

    def __init__(self, port: int) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.closing = threading.Event()

    def put(self, path: str, reply: Reply | Page) -> None:
        self.pages[path] = reply if callable(reply) else lambda _: reply

    def hang(self, path: str) -> None:
        """Answer `path` only when the test is over."""

        def wait(_: Asked) -> Reply:
            self.closing.wait()
            return Reply()

        self.pages[path] = wait

    def paths(self) -> list[str]:
        return [a.path for a in self.asked]


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {k.lower(): v for k, v in self.headers.items()}
            asked = Asked(self.command, parts.path, query, headers, body)
            site.asked.append(asked)
            page = site.pages.get(parts.path, lambda _: Reply(b"no such page", 404))
            try:
                self._send(page(asked))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.chunks is None:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if reply.chunks is None:
                self.wfile.write(reply.body)
                return
            for chunk in reply.chunks:
                self.wfile.write(chunk)

        do_GET = _answer  # noqa: N815 - named by http.server
        do_POST = _answer  # noqa: N815 - named by http.server

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def serve_site() -> Generator[Site]:
    site = Site(0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    server.daemon_threads = True
    site.port = server.server_address[1]
    site.url = f"http://127.0.0.1:{site.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
