"""Runs `Misbehaviour` on standard input and output: `python misbehaving_stdio.py OPTIONS`.

The one argument is a JSON object of its options. A text in place of a message is written as it is.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fakes.misbehaviour import Misbehaviour, Peer


def send(message: Any) -> None:
    line = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    sys.stdout.buffer.write(line.encode("utf-8", "surrogatepass") + b"\n")
    sys.stdout.buffer.flush()


async def serve(options: dict[str, Any]) -> None:
    server = Misbehaviour(**options)
    server.broadcast = send
    reader = asyncio.StreamReader(limit=1 << 30)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        await server.receive(json.loads(line), Peer(send, stateless=False))


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}))
