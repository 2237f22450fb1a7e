"""A whole host in the test's process, with its real faces, in front of misbehaving servers."""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from host.app import Host
from host.audit.segment import list_segments, list_writers, read_chunk
from host.config.load import load_settings
from host.config.paths import Paths
from host.config.settings import HttpConfig
from host.gateway import patience
from host.orchestrator.http import Door, HttpFace
from host.orchestrator.peer import Peer
from host.orchestrator.socket import SocketFace
from tests.fakes.misbehaving_http import MisbehavingHttp
from tests.fakes.misbehaviour import Json, Misbehaviour
from tests.fakes.raw_client import ALL, HttpClient, LineClient, StatelessClient, accept
from tests.fakes.web import serve_face, serve_web

SCRIPT = Path(__file__).with_name("misbehaving_stdio.py")
PATIENCE = 180.0
"""Seconds after which a scene that hangs is a failed test."""


def stdio(config: Json | None = None, **options: Any) -> Json:
    """Return the configuration of a misbehaving child process."""
    entry = {"command": sys.executable, "args": ["-S", "-E", str(SCRIPT), json.dumps(options)]}
    return {**entry, **(config or {})}


@dataclass
class Scene:
    """A running host.

    Attributes:
        url: Its HTTP endpoint.
        socket: Its private socket.
        web: The HTTP servers behind it, by name.
    """

    host: Host
    url: str
    socket: Path
    http: HttpFace
    lines: SocketFace
    web: dict[str, MisbehavingHttp] = field(default_factory=dict[str, MisbehavingHttp])

    def server(self, name: str = "bad") -> Misbehaviour:
        """Return what an HTTP server behind the host saw."""
        return self.web[name].server

    def line(self, answer: Any = accept, *, bare: bool = False, **options: Any) -> Any:
        return LineClient.open(self.socket, answer, **(options if bare else {**ALL, **options}))

    def handshake(self, answer: Any = accept, *, bare: bool = False, **options: Any) -> Any:
        return HttpClient.open(self.url, answer, **(options if bare else {**ALL, **options}))

    def stateless(self, answer: Any = accept, *, bare: bool = False, **options: Any) -> Any:
        return StatelessClient.open(self.url, answer, **(options if bare else {**ALL, **options}))

    @contextlib.asynccontextmanager
    async def client(self, kind: str, answer: Any = accept, **options: Any) -> AsyncGenerator[Any]:
        """Open a client: `line`, `handshake` or `stateless`."""
        async with getattr(self, kind)(answer, **options) as client:
            if kind == "line":
                await client.initialize()
            yield client

    def entries(self) -> list[Json]:
        """Return everything in the journal."""
        return list(read_journal(self.host.paths.data / "journal"))

    def calls(self) -> list[tuple[str, str]]:
        """Return the recorded calls: name and outcome."""
        entries = self.entries()
        names = {entry["call_id"]: entry["name"] for entry in entries if entry["kind"] == "intent"}
        ended = [entry for entry in entries if entry["kind"] == "outcome"]
        return [(names[entry["call_id"]], entry["outcome"]) for entry in ended]


def read_journal(folder: Path) -> Iterator[Json]:
    """Yield every line of every writer's journal."""
    for home in list_writers(folder):
        for segment in list_segments(home):
            offset = 0
            while lines := (chunk := read_chunk(segment, offset)).lines:
                yield from (line.fields for line in lines)
                offset = chunk.end


@contextlib.asynccontextmanager
async def open_scene(
    servers: dict[str, Json],
    *,
    web: dict[str, dict[str, Any]] | None = None,
    clients: Json | None = None,
    policy: str = "permissive",
    data: Path | None = None,
    agents: bool = False,
    approvals: Json | None = None,
    patient: bool = True,
    **http: Any,
) -> AsyncGenerator[Scene]:
    """Open a host on free addresses.

    Args:
        servers: As in host.yaml.
        web: Options of HTTP servers to run, by name; `config` is merged into their entries,
            `path` is where they are reached.
        clients: As in host.yaml.
        policy: Name of the shipped policy that holds.
        data: A data folder whose database runs already; by default a new one.
        agents: Whether the host's own agents are offered beside the servers.
        approvals: As in host.yaml.
        patient: Whether a list waits for every server that starts, however long after the others.
        http: Fields of `HttpConfig`; by default nobody needs a token.
    """
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(PATIENCE))
        if patient:  # a busy machine may start one server long after another
            patched = stack.enter_context(pytest.MonkeyPatch.context())
            patched.setattr(patience, "STRAGGLER_WAIT", PATIENCE)
            patched.setattr(patience, "REMOTE_WAIT", patience.FIRST_WAIT)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mcph-")))
        apps: dict[str, MisbehavingHttp] = {}
        for name, options in (web or {}).items():
            config, path = options.pop("config", {}), options.pop("path", "/mcp")
            apps[name] = MisbehavingHttp(Misbehaviour(**options))
            url = await stack.enter_async_context(serve_web(apps[name]))
            servers = {**servers, name: {"url": url + path, **config}}
        if data is not None:  # its pins know servers of these names at other addresses
            servers = {name: {"trust": "follow", **one} for name, one in servers.items()}
        paths = Paths(folder / "config", data or folder / "data", folder / "run")
        paths.config.mkdir(mode=0o700)
        file = paths.config / "host.yaml"
        settings = {"servers": servers, "clients": clients or {}, "policy": {"base": policy}}
        settings["approvals"] = approvals or {}
        file.write_text(json.dumps(settings))
        loaded = load_settings(paths=paths, environ={})
        host = await stack.enter_async_context(Host.open(loaded, paths))
        if not agents:
            del host.own["agent"]
        door = Door(HttpConfig.model_validate({"auth": "none", **http}), host.tokens, None)
        face = HttpFace(host.gateway, door)
        url = await stack.enter_async_context(serve_face(face)) + "/mcp"

        async def control(method: str, params: Json, peer: Peer) -> Json:
            return {}

        lines = SocketFace(host.gateway, host.tokens, control)
        listener = await lines.listen(paths.socket)
        scene = Scene(host, url, paths.socket, face, lines, apps)
        try:
            yield scene
        finally:
            listener.close()
            await lines.close(grace=0.1)
            await face.close(grace=0.1)
