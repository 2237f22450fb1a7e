"""The tools that find: files by name, lines by content."""

from typing import Annotated, Any, Literal

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import Field

from servers.files import results
from servers.files.paging import parse_cursor
from servers.files.rooted import Place
from servers.files.searching import FindRequest, Hits, Wanted, find, search
from servers.files.service import (
    CursorArgument,
    ExcludeArgument,
    IgnoredArgument,
    PathArgument,
    Service,
    register,
)
from servers.tool import RefusalError, answer, declare


def register_find_tools(server: FastMCP[Any], service: Service) -> None:
    """Add the finding tools to a server."""
    tools = FindTools(service)
    register(
        server,
        tools.find,
        declare("Find by name", results.NamesFound, "private", "untrusted"),
    )
    register(
        server, tools.search, declare("Search contents", results.Matches, "private", "untrusted")
    )


class FindTools:
    """The finding tools over one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def find(  # noqa: PLR0913 - a tool's arguments are its interface
        self,
        pattern: Annotated[str, Field(description="Glob: *.py, src/**/*.{ts,tsx}, /top-only.md")],
        path: PathArgument = "",
        *,
        exclude: ExcludeArgument = None,
        kind: Literal["any", "file", "folder"] = "any",
        include_ignored: IgnoredArgument = False,
        limit: Annotated[int, Field(ge=1)] = 200,
        cursor: CursorArgument = None,
    ) -> ToolResult:
        """Find files and folders whose name or path matches a glob.

        A glob without a slash is matched against names in every folder; one with a slash against
        the path from the folder given. Links are listed, not followed.
        """
        place = self._service.place(path)
        request = FindRequest(
            globs=(pattern,),
            exclude=tuple(exclude or ()),
            files=kind != "folder",
            folders=kind != "file",
            include_ignored=include_ignored,
            limit=self._service.limit(limit),
        )
        found, rest = find(place, request, parse_cursor(cursor), self._service.settings)
        names = [
            results.Named(
                path=place.root.show(item.parts), kind="folder" if item.is_folder else "file"
            )
            for item in found
        ]
        page = results.NamesFound(found=names, next_cursor=rest.render() if rest else None)
        lines = [item.path for item in names] or ["No matches found"]
        return answer("\n".join([*lines, *_more(page.next_cursor)]), page)

    def search(  # noqa: PLR0913 - a tool's arguments are its interface
        self,
        pattern: Annotated[str, Field(description="Text, or a regular expression with regex")],
        path: PathArgument = "",
        *,
        regex: Annotated[bool, Field(description="Read pattern as a Python regex")] = False,
        ignore_case: bool = False,
        whole_word: bool = False,
        glob: Annotated[list[str] | None, Field(description="Only files these match")] = None,
        exclude: ExcludeArgument = None,
        context: Annotated[int, Field(ge=0, le=20, description="Lines before and after")] = 0,
        include_ignored: IgnoredArgument = False,
        limit: Annotated[int, Field(ge=1)] = 100,
        cursor: CursorArgument = None,
    ) -> ToolResult:
        """Search file contents line by line.

        Binary files, files with several hard links and very large ones are passed over and
        counted. A search that takes too long answers with what it has.
        """
        wanted = Wanted(
            pattern=pattern,
            regex=regex,
            ignore_case=ignore_case,
            whole_word=whole_word,
            globs=tuple(glob or ()),
            exclude=tuple(exclude or ()),
            context=context,
            limit=self._service.limit(limit),
            include_ignored=include_ignored,
        )
        place = self._service.place(path)
        service = self._service
        hits = search(place, wanted, parse_cursor(cursor), service.crews, service.settings)
        if hits.timed_out and not hits.hits and hits.cursor is None:
            raise RefusalError(
                f"Nothing was found in {service.settings.search_seconds:g} seconds, and the search "
                "is not through.",
                "Use a simpler pattern, name a folder further down, or narrow it with glob.",
            )
        page = _matches(place, hits)
        return answer(_render(page), page)


def _matches(place: Place, hits: Hits) -> results.Matches:
    tally = dict(hits.tally)
    return results.Matches(
        matches=[
            results.Match(
                path=place.root.show(tuple(hit["parts"])),
                line=hit["line"],
                column=hit["column"],
                text=hit["text"],
                before=hit["before"],
                after=hit["after"],
            )
            for hit in hits.hits
        ],
        searched=tally.pop("searched", 0),
        skipped=tally,
        complete=hits.cursor is None and not hits.timed_out,
        timed_out=hits.timed_out,
        next_cursor=hits.cursor.render() if hits.cursor else None,
    )


def _render(page: results.Matches) -> str:
    lines: list[str] = []
    for match in page.matches:
        start = match.line - len(match.before)
        lines += [f"{match.path}-{start + i}-{text}" for i, text in enumerate(match.before)]
        lines.append(f"{match.path}:{match.line}:{match.text}")
        after = enumerate(match.after, match.line + 1)
        lines += [f"{match.path}-{number}-{text}" for number, text in after]
        if match.before or match.after:
            lines.append("--")
    if not page.matches:
        lines.append(f"No matches found in {page.searched} files")
    if page.timed_out:
        lines.append("[the time ran out before everything was searched]")
    return "\n".join([*lines, *_more(page.next_cursor)])


def _more(cursor: str | None) -> list[str]:
    return [f"[more: cursor={cursor}]"] if cursor else []
