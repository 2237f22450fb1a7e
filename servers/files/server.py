"""Assembles the files server: tools, resources, completion, subscriptions."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastmcp import FastMCP

from servers.bundled import BundledServer
from servers.files.change_tools import register_change_tools
from servers.files.find_tools import register_find_tools
from servers.files.narrowing import ClientRootsMiddleware
from servers.files.read_tools import register_read_tools
from servers.files.resources import register_resources
from servers.files.service import open_service
from servers.files.settings import Settings
from servers.files.watching import Watcher, register_subscriptions

INSTRUCTIONS = """Files below the served folders. `roots` lists them. Paths are relative to the
first root, or NAME:path, or absolute. Before changing a file read it, and give its digest as
if_digest. Prefer `edit` to `write` for small changes. `delete` can be undone with `restore`."""


def create_server(settings: Settings) -> FastMCP[Any]:
    """Build the server for some roots.

    Raises:
        SettingsError: When a root or the trash cannot be opened.
    """
    service = open_service(settings)
    watcher = Watcher()

    @asynccontextmanager
    async def lifespan(_server: FastMCP[Any]) -> AsyncGenerator[dict[str, Any]]:
        async with watcher.running():
            try:
                yield {}
            finally:
                service.crews.close()

    server = BundledServer(
        "files",
        INSTRUCTIONS,
        version="1.0.0",
        lifespan=lifespan,
        resource_security=None,  # `Roots.place` decides, with reasons; absolute paths are legal
    )
    register_read_tools(server, service)
    register_find_tools(server, service)
    register_change_tools(server, service)
    register_resources(server, service)
    register_subscriptions(server, service, watcher)
    if settings.client_roots == "narrow":
        server.add_middleware(ClientRootsMiddleware(service))
    return server
