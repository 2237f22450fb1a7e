"""The faulty server misbehaves as it is told, on stdio and over HTTP."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fakes.faulty.behaviour import JSON

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "tests.fakes.faulty"]

Send = Callable[[str, JSON], list[bytes]]
"""Sends a request and returns the lines that came back before and with the answer."""


@contextmanager
def faulty(*arguments: str) -> Generator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    with process:
        yield process
        process.kill()


def request(method: str, params: JSON) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def over_stdio(process: "subprocess.Popen[bytes]", method: str, params: JSON) -> list[bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(request(method, params) + b"\n")
    process.stdin.flush()
    lines: list[bytes] = []
    while line := process.stdout.readline():
        lines.append(line)
        if b'"id": 1' in line:
            break
    return lines


def over_http(url: str, method: str, params: JSON) -> list[bytes]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("POST", parts.path, request(method, params))
        return connection.getresponse().read().splitlines()
    except (HTTPException, OSError):
        return []
    finally:
        connection.close()


@pytest.fixture(params=["stdio", "http"])
def send(request: pytest.FixtureRequest) -> Iterator[Send]:
    with ExitStack() as stack:
        if request.param == "stdio":
            process = stack.enter_context(faulty("--stdio", "--tools", "1000"))
            yield lambda method, params: over_stdio(process, method, params)
            return
        process = stack.enter_context(faulty("--http", "0", "--tools", "1000"))
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        yield lambda method, params: over_http(url, method, params)


def call(send: Send, tool: str, **arguments: object) -> list[bytes]:
    return send("tools/call", {"name": tool, "arguments": arguments})


def result(lines: list[bytes]) -> JSON:
    return json.loads(lines[-1].removeprefix(b"data: ") or lines[-2].removeprefix(b"data: "))


def test_a_thousand_tools_are_listed_when_asked_for(send: Send) -> None:
    tools = result(send("tools/list", {}))["result"]["tools"]

    assert len(tools) > 1000
    assert tools[-1]["name"] == "bulk_999"


def test_echo_answers(send: Send) -> None:
    answer = result(call(send, "echo", text="hello"))

    assert answer["result"]["content"] == [{"type": "text", "text": "hello"}]


def test_die_ends_without_an_answer(send: Send) -> None:
    assert call(send, "die") == []


def test_drop_ends_the_stream_without_a_whole_answer(send: Send) -> None:
    assert not any(b'"result"' in line for line in call(send, "drop"))


def test_garbage_comes_before_the_answer(send: Send) -> None:
    lines = call(send, "garbage")

    assert any(b"this is not JSON" in line for line in lines)
    assert "after the garbage" in str(result(lines))


def test_huge_is_as_large_as_it_is_told(send: Send) -> None:
    answer = result(call(send, "huge", bytes=3_000_000))

    assert len(answer["result"]["content"][0]["text"]) == 3_000_000


def test_flood_sends_every_message_before_the_answer(send: Send) -> None:
    lines = call(send, "flood", count=500)

    assert sum(b"notifications/message" in line for line in lines) == 500


def test_stateless_ask_wants_all_answers_at_once(send: Send) -> None:
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    params: JSON = {"name": "ask", "arguments": {"count": 140}, "_meta": meta}
    asked = result(send("tools/call", params))["result"]["inputRequests"]
    answers = {key: {"action": "accept"} for key in asked}

    final = result(send("tools/call", {**params, "inputResponses": answers}))

    assert len(asked) == 140
    assert "140 of 140 accepted" in str(final)
