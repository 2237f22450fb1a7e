"""A plugin that does a little of everything, and how the process tests start it."""

from typing import Any

from host.sandbox.pool import PluginWorker, SandboxPool
from tests.sandbox.process.recording import RecordingBroker

PLUGIN = """
import os, sys, time
calls = []

@tool
def add(a: int, b: int = 2) -> int:
    "Adds two numbers."
    return a + b

@tool
def count() -> int:
    calls.append(1)
    return len(calls)

@tool
def ask(name: str, **arguments):
    print("asking")
    return host.call_tool(name, **arguments)

@tool
def ask_many(count: int):
    answers = host.call_tools([("slow", {"n": n}) for n in range(count)])
    return [answer["echo"]["n"] for answer in answers]

@tool
def stubborn():
    while True:
        try:
            host.call_tool("slow")
        except BaseException:
            pass

@tool
def spin():
    while True:
        pass

@tool
def spin_while_asking():
    import struct
    request = b'{"t":"request","id":9,"op":"call_tool","params":{"name":"slow","arguments":{}}}'
    os.write(3, struct.pack(">I", len(request)) + request)
    while True:
        pass

@tool
def talk():
    host.log("working", level="warning")
    host.progress(1, 2, "half")
    print("done")
    return "said"

@tool
def fail():
    raise ValueError("no such luck")

@tool
def die():
    os._exit(7)

@tool
def hog():
    return bytearray(1 << 30)

@tool
def shout():
    print("x" * 1_000_000)

@tool
def remember(key: str, value):
    host.state.set(key, value)
    return [host.state.get(key), host.state.list(), host.state.delete(key), host.state.get(key, 0)]

@tool
def handle():
    return host.secret("token")

@tool
def stub(title):
    from tools.github import create_issue
    return create_issue(title, body="b")

@tool
async def later(a: int):
    return a

@tool
def pid():
    return os.getpid()
"""


async def start(
    pool: SandboxPool, broker: RecordingBroker, source: str = PLUGIN, **options: Any
) -> PluginWorker:
    return await pool.start(source, plugin="demo", tenant="ann", broker=broker, **options)
