"""Files as `file://` resources: a listing a root, a template for what is below, path completion."""

import json
import logging
from collections.abc import Callable
from typing import Any

import anyio.to_thread
from fastmcp import FastMCP
from fastmcp.exceptions import ResourceError
from fastmcp.resources import ResourceContent, ResourceResult
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from servers.files.names import fold
from servers.files.read_tools import mime_type
from servers.files.reading import load
from servers.files.rooted import Place, Root, kind_of, names_in, require, status_of
from servers.files.service import Service
from servers.files.text import is_binary
from servers.tool import RefusalError

_MOST_COMPLETIONS = 100


def register_resources(server: FastMCP[Any], service: Service) -> None:
    """Add the resources of every root and the completion of their paths."""
    for root in service.all_roots.roots:
        uri = root.path.as_uri().rstrip("/")
        server.resource(
            uri,
            name=root.name,
            title=f"Folder {root.name}",
            description="What is directly in the root, as JSON",
            mime_type="application/json",
        )(_root_reader(service, root))
        server.resource(
            uri + "/{path*}",
            name=f"{root.name}-files",
            title=f"Files in {root.name}",
            description="A file's content (text, or a blob), or a folder's listing as JSON",
        )(_file_reader(service, root))
    server.add_completion_handler(_completer(service))


def _root_reader(service: Service, root: Root) -> Callable[[], ResourceResult]:
    def read_root() -> ResourceResult:
        return _read(service, str(root.path))

    return read_root


def _file_reader(service: Service, root: Root) -> Callable[[str], ResourceResult]:
    def read_file(path: str) -> ResourceResult:
        return _read(service, f"{root.path}/{path}")

    return read_file


def _read(service: Service, path: str) -> ResourceResult:
    try:
        place = service.place(path)
        if kind_of(require(place)) == "folder":
            return _folder(place)
        loaded = load(place, service.settings)
    except (RefusalError, OSError) as error:
        raise ResourceError(str(error), log_level=logging.DEBUG) from error
    kind = mime_type(place.name)
    if is_binary(loaded.data):
        return ResourceResult([ResourceContent(loaded.data, mime_type=kind)])
    try:
        return ResourceResult([ResourceContent(loaded.data.decode(), mime_type=kind)])
    except UnicodeDecodeError:
        return ResourceResult([ResourceContent(loaded.data, mime_type=kind)])


def _folder(place: Place) -> ResourceResult:
    entries: list[dict[str, str]] = []
    for name in names_in(place):
        status = status_of(place.below(name))
        if status is not None:
            entry = {"name": name, "kind": kind_of(status), "uri": place.below(name).uri}
            entries.append(entry)
    text = json.dumps(entries, ensure_ascii=False, indent=1)
    return ResourceResult([ResourceContent(text, mime_type="application/json")])


def _completer(service: Service) -> Callable[..., Any]:
    templates = {
        root.path.as_uri().rstrip("/") + "/{path*}": root for root in service.all_roots.roots
    }

    async def complete(
        reference: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        _context: CompletionContext | None,
    ) -> Completion | None:
        if not isinstance(reference, ResourceTemplateReference) or argument.name != "path":
            return None
        root = templates.get(reference.uri)
        if root is None:
            return None
        return await anyio.to_thread.run_sync(complete_path, service, root, argument.value)

    return complete


def complete_path(service: Service, root: Root, typed: str) -> Completion:
    """Complete the last name of a path below a root; folders end with a slash."""
    above, _, start = typed.rpartition("/")
    try:
        folder = service.place(f"{root.path}/{above}")
    except RefusalError:
        return Completion(values=[])
    prefix = f"{above}/" if above else ""
    wanted = fold(start)
    found = [name for name in names_in(folder) if fold(name).startswith(wanted)]
    values = [prefix + name + _slash(folder.below(name)) for name in found[:_MOST_COMPLETIONS]]
    return Completion(values=values, total=len(found), has_more=len(found) > len(values))


def _slash(place: Place) -> str:
    try:
        status = status_of(place)
    except RefusalError:
        return ""
    return "/" if status is not None and kind_of(status) == "folder" else ""
