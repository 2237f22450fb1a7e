"""What every tool of the files server shares: settings, roots, search processes, registration."""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import Field

from servers.files.crew import Crews
from servers.files.rooted import Place
from servers.files.roots import Roots, open_roots
from servers.files.settings import Settings
from servers.files.trash import open_trash, purge
from servers.tool import Declaration, RefusalError

client_roots: ContextVar[Roots | None] = ContextVar("client_roots", default=None)
"""The part of the roots that the calling client may use; None for all."""

PathArgument = Annotated[
    str,
    Field(
        description="Path relative to the first root, NAME:path for another root, an absolute "
        "path or a file:// URI below a root"
    ),
]
EncodingArgument = Annotated[
    str, Field(description="Text encoding; auto: by byte order mark, else UTF-8")
]
DigestArgument = Annotated[
    str | None,
    Field(description="Change the file only if it still has this digest (from read_text)"),
]
CursorArgument = Annotated[
    str | None, Field(description="next_cursor of the page before; leave out for the first page")
]
IgnoredArgument = Annotated[bool, Field(description="Also what .gitignore leaves out")]
ExcludeArgument = Annotated[
    list[str] | None, Field(description="Globs of files and folders to leave out")
]


@dataclass(frozen=True)
class Service:
    """The state behind the tools of one server."""

    settings: Settings
    all_roots: Roots
    crews: Crews

    @property
    def roots(self) -> Roots:
        """The roots that the current call may use."""
        narrowed = client_roots.get()
        return self.all_roots if narrowed is None else narrowed

    def place(self, path: str) -> Place:
        """Find the place that a caller's path names."""
        return self.roots.place(path)

    def limit(self, wanted: int) -> int:
        """How many entries a page may have."""
        return max(1, min(wanted, self.settings.max_entries))


def open_service(settings: Settings) -> Service:
    """Open the roots and their trash, and throw away what lay there too long."""
    opened = open_roots(settings)
    roots = Roots(tuple(replace(r, trash=open_trash(r, settings)) for r in opened.roots))
    for root in roots.roots:
        purge(root, settings)
    crews = Crews(
        tuple(root.descriptor for root in roots.roots),
        processes=settings.search_processes,
        way=settings.symlink_resolver,
    )
    return Service(settings, roots, crews)


def register(
    server: FastMCP[Any], tool: Callable[..., ToolResult], declaration: Declaration
) -> None:
    """Add a tool; errors of the system that nobody foresaw become refusals, not tracebacks."""

    @functools.wraps(tool)
    def guarded(*args: object, **kwargs: object) -> ToolResult:
        try:
            return tool(*args, **kwargs)
        except OSError as error:
            raise RefusalError(f"The system refused: {error.strerror or error}.") from error
        except RecursionError as error:
            raise RefusalError("The folders are nested too deeply.", "Start deeper.") from error

    server.tool(guarded, name=tool.__name__.rstrip("_"), **declaration)
