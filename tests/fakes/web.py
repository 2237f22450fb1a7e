"""Serves an ASGI application, or the host's endpoint, on a free port of 127.0.0.1 in a test."""

import contextlib
import socket
from collections.abc import AsyncGenerator, Generator
from typing import Any

import anyio
import uvicorn
from typing_extensions import override

from host.orchestrator.http_protocol import Serve
from host.orchestrator.http_server import HttpServer


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = anyio.Event()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    @override
    def capture_signals(self) -> Generator[None]:
        yield  # the test run keeps its own


@contextlib.asynccontextmanager
async def serve_web(app: Any) -> AsyncGenerator[str]:
    """Yield the server's address, such as `http://127.0.0.1:43211`."""
    bound = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", access_log=False)
    config.timeout_graceful_shutdown = 1
    server = _Server(config)
    with bound:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [bound])
            await server.listening.wait()
            try:
                yield f"http://127.0.0.1:{bound.getsockname()[1]}"
            finally:
                server.should_exit = True


@contextlib.asynccontextmanager
async def serve_face(serve: Serve) -> AsyncGenerator[str]:
    """Yield the address of the host's own web server in front of something that serves requests."""
    server = HttpServer(serve)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        await server.listen(bound)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            await server.close(grace=1)
