"""How a bundled server treats its standard input and output, seen from outside."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-P", "-m", "servers.weather"]
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
LIMIT = 60


def lines(*requests: str) -> bytes:
    client = {"name": "test", "version": "1"}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
    messages: list[dict[str, Any]] = [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        *({"jsonrpc": "2.0", "id": n, "method": m} for n, m in enumerate(requests, 1)),
    ]
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def test_a_server_answers_over_pipes_and_ends_with_its_input():
    with subprocess.Popen(
        COMMAND, stdin=-1, stdout=-1, stderr=-1, env=ENVIRONMENT, cwd="/"
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b"not JSON\n" + lines("tools/list", "ping"))
        server.stdin.flush()
        seen: set[int] = set()
        while not seen >= {0, 1, 2}:
            answer = json.loads(server.stdout.readline())
            seen.add(answer.get("id"))
        rest, said = server.communicate(timeout=LIMIT)

    assert (rest, server.returncode) == (b"", 0)
    assert b"Traceback" not in said


def test_a_client_that_leaves_without_reading_ends_the_server_quietly():
    with subprocess.Popen(
        COMMAND, stdin=-1, stdout=-1, stderr=-1, env=ENVIRONMENT, cwd="/"
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdout.close()
        server.stdin.write(lines("tools/list", "tools/list"))
        server.stdin.close()
        assert server.wait(LIMIT) == 0
        assert b"Traceback" not in server.stderr.read()


def test_a_file_serves_as_input_as_well(tmp_path: Path):
    written = tmp_path / "requests"
    written.write_bytes(lines("ping"))
    with written.open("rb") as file:
        done = subprocess.run(
            COMMAND, stdin=file, capture_output=True, env=ENVIRONMENT, cwd="/", check=True
        )
    assert json.loads(done.stdout.splitlines()[0])["result"]["serverInfo"]["name"] == "weather"
