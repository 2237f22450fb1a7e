"""Makes a server of each document, imports and lists it, and calls its tools: `FOLDER FILE…`.

The calls go over HTTP to a server on loopback that mocks the document. Prints one JSON object:
file → what was found.
"""

import importlib
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from fastmcp import Client

from generator.answers import Answers, spec_of
from generator.errors import GeneratorError
from generator.project import render_server
from generator.sources.document import parse_document
from generator.sources.openapi import read_openapi
from generator.write import write_project
from host.probe.inputs import good_inputs
from tests.documents.mock_service import MockService

MOST_CALLED = 400
"""Most tools of one document that are called: spread over all of it."""


class _Server(uvicorn.Server):
    """Tells where it listens, once it does."""

    async def port(self) -> int:
        while not self.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await anyio.sleep(0.01)
        return self.servers[0].sockets[0].getsockname()[1]


async def drive(document: dict[str, Any], package: str, tools: dict[str, Any]) -> dict[str, Any]:
    """Call the tools of a server that was made, and return what went wrong."""
    service = MockService(document)
    config = uvicorn.Config(service, port=0, log_level="critical", lifespan="off")
    server = _Server(config)
    wrong: list[str] = []
    listed: list[Any] = []
    called = 0
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve)
        os.environ[f"{package.upper()}_BASE_URL"] = f"http://127.0.0.1:{await server.port()}/mock"
        built = importlib.import_module(f"{package}.server").create_server()
        async with Client(built) as client:
            listed = await client.list_tools()
            step = max(1, len(listed) // MOST_CALLED)
            for tool in listed[::step]:
                wanted = f"{tools[tool.name]['method']} {tools[tool.name]['path']}"
                for arguments in good_inputs(tool.input_schema, seed=1, most=1):
                    answer = await client.call_tool(tool.name, arguments, raise_on_error=False)
                    called += 1
                    said = " ".join(getattr(block, "text", "") for block in answer.content)
                    if answer.is_error or wanted not in service.seen:
                        wrong.append(
                            f"{tool.name} ({wanted}): {said[:400]} {json.dumps(arguments)[:200]}"
                        )
        server.should_exit = True
    return {"listed": len(listed), "called": called, "wrong": wrong}


def try_document(file: Path, folder: Path, number: int) -> dict[str, Any]:
    """Return what became of a document."""
    began = time.process_time()
    try:
        document = parse_document(file.read_text("utf-8"), name=file.name)
        source = read_openapi(document)
    except (GeneratorError, UnicodeDecodeError) as error:
        return {"refused": str(error)}
    spec = spec_of(Answers(kind="openapi", where=file.name, name=f"document-{number}"), source)
    write_project(folder / spec.name, render_server(spec))
    seconds = time.process_time() - began
    for setting in spec.source.settings:
        if setting.secret:
            os.environ[f"{spec.package.upper()}_{setting.name.upper()}"] = "for-tests"
    sys.path.insert(0, str(folder / spec.name / "src"))
    tools = {tool.name: tool.call for tool in spec.tools}
    found = anyio.run(drive, document, spec.package, tools)
    return {
        "tools": len(tools),
        "seconds": round(seconds, 1),
        "bytes": file.stat().st_size,
        **found,
    }


def main() -> None:
    logging.disable(logging.CRITICAL)
    sys.path.insert(0, "")
    folder, *files = map(Path, sys.argv[1:])
    found: dict[str, Any] = {}
    for number, file in enumerate(files):
        try:
            found[str(file)] = try_document(file, folder, number)
        except Exception as error:  # noqa: BLE001 - one crash must not hide the others
            found[str(file)] = {"crashed": f"{type(error).__name__}: {str(error)[-600:]}"}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
