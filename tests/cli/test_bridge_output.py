"""The bridge's standard output carries the protocol and nothing else; the daemon's log is JSON."""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.conformance.host_process import REPOSITORY, host_environment

ECHO = {
    "command": sys.executable,
    "args": ["-m", "tests.fakes.echo_upstream"],
    "env": {"PYTHONPATH": str(REPOSITORY)},
    "protocol": "handshake",
}
BROKEN = {"command": sys.executable, "args": ["-c", "print('not JSON-RPC')"]}
CONFIG = {
    "servers": {"echo": ECHO, "broken": BROKEN},
    "log": {"level": "debug", "format": "json"},
    "policy": {"base": "permissive"},
}


@pytest.fixture
def environ(tmp_path: Path) -> Generator[dict[str, str]]:
    for name in ("home", "data", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    file = tmp_path / "host.yaml"
    file.write_text(json.dumps(CONFIG))
    file.chmod(0o600)
    found = host_environment(tmp_path, {"HOST_CONFIG": str(file)})
    yield found
    words = [sys.executable, "-m", "host", "stop"]
    subprocess.run(words, env=found, cwd=found["HOME"], check=False, capture_output=True)


def ask(request_id: int, method: str, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def test_the_bridge_prints_protocol_only_however_much_is_logged(
    environ: dict[str, str], tmp_path: Path
):
    info = {"name": "t", "version": "1"}
    sent = [
        ask(1, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=info),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        ask(2, "tools/list"),
        ask(3, "tools/call", name="echo__context", arguments={}),
        ask(4, "tools/call", name="broken__x", arguments={}),
    ]
    whole = [json.dumps(message) for message in sent]
    deep = "[" * 5000  # more than a parser that recurses can bear
    lines = "\n".join([*whole[:3], deep, *whole[3:], "this is not JSON", ""])
    done = subprocess.run(
        [sys.executable, "-m", "host", "serve", "--stdio"],
        input=lines,
        env=environ,
        cwd=environ["HOME"],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(message["jsonrpc"] == "2.0" for message in said)
    answered = {message["id"]: message for message in said if message.get("id")}
    assert {1, 2, 3, 4} <= answered.keys()
    assert "structuredContent" in answered[3]["result"]
    assert "error" in answered[4]
    log = (tmp_path / "data" / "logs" / "daemon.log").read_text().splitlines()
    parsed = [json.loads(line) for line in log if line.startswith("{")]
    assert any(line.get("server") == "broken" for line in parsed)
