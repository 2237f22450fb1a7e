"""A model provider on loopback that speaks all vendors' wire formats, for the real SDKs."""

import json
import sys
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from tests.fakes.model_wire import (
    ANTHROPIC,
    CHAT,
    GEMINI,
    RESPONSES,
    Answer,
    Json,
    Wire,
)
from tests.fakes.ollama_wire import OLLAMA


@dataclass
class Asked:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: Json


@dataclass
class ModelProvider:
    """What the provider will answer, first come first served, and what it was asked.

    Attributes:
        answers: Given one by one; the last one again and again.
        local: The models that it has as an Ollama.
    """

    url: str = ""
    answers: deque[Answer] = field(default_factory=lambda: deque([Answer()]))
    local: list[str] = field(default_factory=list[str])
    asked: list[Asked] = field(default_factory=list[Asked])

    def will(self, *answers: Answer) -> None:
        self.answers = deque(answers)

    def take(self) -> Answer:
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a client that acknowledges late gets its words late
    provider: ModelProvider

    def do_GET(self) -> None:
        models = [{"name": name} for name in self.provider.local]
        self.send(Answer(), json.dumps({"models": models}).encode())

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body: Json = json.loads(self.rfile.read(length) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.provider.asked.append(Asked(self.path, headers, body))
        self.reply(self.provider.take(), body)

    def reply(self, answer: Answer, body: Json) -> None:
        wire, model = wire_of(self.path), str(body.get("model", "gemini"))
        if answer.status >= 400:
            self.send(answer, json.dumps(wire.error(answer)).encode())
        elif answer.raw is not None and not answer.breaks:
            self.send(answer, answer.raw)
        elif body.get("stream") or ":stream" in self.path:
            self.stream(answer, wire, model)
        else:
            self.send(answer, json.dumps(wire.whole(answer, model)).encode())

    def send(self, answer: Answer, content: bytes) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if answer.cut else content)
        self.close_connection = self.close_connection or answer.cut

    def stream(self, answer: Answer, wire: Wire, model: str) -> None:
        self.send_response(200)
        kind = "application/x-ndjson" if wire.lines else "text/event-stream"
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        events = list(wire.stream(answer, model))
        whole = not (answer.cut or answer.breaks)
        for name, data in events if whole else events[: len(events) * 2 // 3]:
            self.chunk(wire.event(name, json.dumps(data)))
        if answer.cut:
            self.close_connection = True
            return
        if answer.breaks:
            garbage = answer.raw and wire.event(events[1][0], answer.raw.decode())
            self.chunk(garbage or wire.failure(answer))
        if wire.ends and whole:
            self.chunk(wire.ends)
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, text: str) -> None:
        content = text.encode()
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Takes it in silence when a client has had enough."""

    daemon_threads = True

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def model_provider() -> Generator[ModelProvider]:
    """Run the provider on a free port."""
    provider = ModelProvider()
    bound = type("_Bound", (Handler,), {"provider": provider})
    server = Server(("127.0.0.1", 0), bound)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wire_of(path: str) -> Wire:
    if path.startswith("/v1/messages"):
        return ANTHROPIC
    if path.startswith("/v1/responses"):
        return RESPONSES
    if path.startswith("/api/chat"):
        return OLLAMA
    return GEMINI if ":" in path else CHAT
