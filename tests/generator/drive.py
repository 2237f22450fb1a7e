"""Imports generated servers in one process, lists their tools and calls each: `drive.py FOLDER…`.

Prints one JSON object: package → tools and answers. Each is a fresh package on `sys.path`.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
from fastmcp import Client
from fastmcp.exceptions import ToolError

SETTINGS = {
    "AUTH_TOKEN": "token",
    "OAUTH_ISSUER": "https://login.example.com/",
    "OAUTH_JWKS_URL": "https://login.example.com/jwks",
    "PUBLIC_URL": "https://server.example.com/",
}


async def drive(package: str) -> dict[str, Any]:
    for key, value in SETTINGS.items():
        os.environ[f"{package.upper()}_{key}"] = value
    settings = importlib.import_module(f"{package}.settings").Settings()
    server = importlib.import_module(f"{package}.server").create_server(settings)
    answers: dict[str, str] = {}
    async with Client(server) as client:
        tools = await client.list_tools()
        for tool in tools:
            try:
                await client.call_tool(tool.name, {"surprise": 1})
                answers[tool.name] = "took what does not fit"
            except ToolError:
                answers[tool.name] = "refused"
        resource = await client.read_resource((await client.list_resources())[0].uri)
        prompt = await client.get_prompt("use", {"goal": "x"})
    return {
        "answers": answers,
        "described": all(tool.description and tool.annotations for tool in tools),
        "labelled": all("host/labels" in (tool.meta or {}) for tool in tools),
        "resource": bool(resource),
        "prompt": bool(prompt.messages),
    }


def main() -> None:
    found: dict[str, Any] = {}
    for folder in map(Path, sys.argv[1:]):
        sys.path.insert(0, str(folder / "src"))
        (package,) = [path.name for path in (folder / "src").iterdir()]
        found[package] = anyio.run(drive, package)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
