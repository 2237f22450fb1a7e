"""A provider on loopback that only notes when requests arrive, by the clock that Postgres has."""

import socketserver
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from typing_extensions import override


@dataclass
class Arrivals:
    """When requests arrived, in seconds, by whom they were for."""

    port: int = 0
    times: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def over(self, name: str, *, limit: int, window: float) -> int:
        """Return how many requests came when the window before them was full already."""
        times = sorted(self.times[name])
        spans = [later - earlier for earlier, later in zip(times, times[limit:], strict=False)]
        return sum(span < window - 1e-5 for span in spans)


@contextmanager
def noting_arrivals() -> Generator[Arrivals]:
    """Run the provider: whoever sends it a line is answered with one."""
    seen = Arrivals()
    lock = threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        @override
        def handle(self) -> None:
            for line in self.rfile:
                with lock:
                    seen.times.setdefault(line.decode().strip(), []).append(time.time())
                self.wfile.write(b"ok\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    seen.port = server.server_address[1]
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
