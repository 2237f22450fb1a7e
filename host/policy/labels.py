"""Labels of tools: what is known of well-known servers, and what to assume of all others."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

from host.config.layers import PROJECT_LABEL
from host.config.names import RESERVED
from host.config.servers import ServerConfig
from host.domain.jsonrpc import as_object
from host.policy.attempt import Attempt
from host.policy.document import AloneConfig, ToolLabelsConfig
from host.policy.path import Ground
from host.policy.pattern import Names, parse_names
from host.policy.pointer import Pointer, parse_pointer

EFFECTS = frozenset({"changes", "sends", "destructive"})
"""Labels of what a call may do beyond reading."""
KNOWN = {
    "reads": "only reads",
    "untrusted": "its output may come from strangers",
    "private": "its output may be private",
    "egress": "what is asked for leaves this machine, as a search's words do",
    "sends": "sends or publishes something to others",
    "changes": "changes something",
    "destructive": "may delete or overwrite what cannot be brought back",
    "unknown": "nothing is known of the tool, so that it counts as the other labels say",
}
"""Labels that the shipped policies go by; others may be used freely."""
ABOUT_THE_CALL = EFFECTS | {"reads", "egress", "unknown"}
"""Labels of what a call does; all others are of what comes back, and taint who gets it."""

_UNKNOWN_TOOL = frozenset({"changes", "sends", "untrusted", "private", "unknown"})
_DESTROYS = re.compile(
    r"(^|_)(delete|remove|drop|destroy|purge|erase|wipe|truncate|unlink|rm|rmdir|kill|terminate"
    r"|revoke|reset|overwrite|uninstall|force|write|rewrite|replace|clear|flush|prune|restore"
    r"|rollback|format|discard|shutdown|reboot|stop)(_|$)"
)
_EXECUTES = re.compile(
    r"^query$|(^|_)(run|exec|execute|executor|eval|evaluate|invoke|spawn|sudo)(_|$)"
    r"|^(?!(list|get|find|search|show|describe|count)_)"
    r"(.*_)?(ssh|shell|sh|bash|zsh|cmd|command|powershell|pwsh|terminal|console|repl|interpreter"
    r"|python|javascript|js|script|sql|mutation)(_|$)"
)
"""Words in names of tools that do what a text says, and so may do anything."""
_NPX = {"npx": (), "bunx": (), "pnpx": (), "pnpm": ("dlx",), "yarn": ("dlx",), "npm": ("exec",)}
_UVX = {"uvx": (), "pipx": ("run",)}
_HARMLESS_FLAGS = {"-y", "--yes", "-q", "--quiet", "--"}


@dataclass(frozen=True, slots=True)
class ServerLabels:
    """What is known of one server."""

    every: frozenset[str]
    tools: tuple[tuple[Names, frozenset[str]], ...]
    reads: tuple[tuple[Names, tuple[Pointer, ...]], ...]
    alone: tuple[tuple[Names, AloneConfig], ...] = ()
    texts: tuple[tuple[Names, tuple[str, ...]], ...] = ()

    def of_tool(self, name: str, arguments: object) -> frozenset[str]:
        """Return the labels of a tool that is called with some arguments."""
        said = frozenset[str]().union(*(found for names, found in self.tools if names.match(name)))
        for names, one in self.alone:
            if names.match(name) and _given(arguments) <= set(one.arguments):
                said = (said - EFFECTS - {"reads"}) | set(one.labels)
        return said


@dataclass(frozen=True, slots=True)
class LabelTable:
    """What is known of servers, by their name or by what they are."""

    servers: Mapping[str, tuple[ServerLabels, ...]] = field(
        default_factory=dict[str, tuple[ServerLabels, ...]]
    )

    def known(self, attempt: Attempt) -> list[ServerLabels]:
        """Return what is known of the server of a call."""
        keys = (attempt.server, attempt.package)
        return [one for key in keys if key is not None for one in self.servers.get(key, ())]

    def varies(self, attempt: Attempt) -> bool:
        """Whether the labels of a call's tool hang on its arguments."""
        name = attempt.tool if attempt.tool is not None else attempt.name
        return any(names.match(name) for one in self.known(attempt) for names, _ in one.alone)


def build_table(configs: Iterable[Mapping[str, ToolLabelsConfig]]) -> LabelTable:
    """Return one table for those of several files; what any of them says counts."""
    servers: dict[str, tuple[ServerLabels, ...]] = {}
    for config in configs:
        for key, one in config.items():
            servers[key] = (*servers.get(key, ()), _compile(one))
    return LabelTable(servers)


def _compile(config: ToolLabelsConfig) -> ServerLabels:
    return ServerLabels(
        every=frozenset(config.labels),
        tools=tuple((parse_names([key]), frozenset(found)) for key, found in config.tools.items()),
        reads=tuple(
            (parse_names([key]), tuple(parse_pointer(text) for text in texts))
            for key, texts in config.reads.items()
        ),
        alone=tuple((parse_names([key]), one) for key, one in config.alone.items()),
        texts=tuple((parse_names([key]), names) for key, names in config.texts.items()),
    )


def _given(arguments: object) -> set[str]:
    """Return the names of the arguments that say something."""
    members = as_object(arguments) or {}
    return {name for name, value in members.items() if value not in (None, [], {}, "")}


def effective_labels(attempt: Attempt, table: LabelTable) -> frozenset[str]:
    """Return the labels that rules go by.

    `reads` is there only where the table of known servers, a file of the user's own, or the
    annotations of a trusted server say so, and nothing says otherwise: it is the one label that
    loosens, and a server's own word is no reason for it.
    """
    known = table.known(attempt)
    found = {label for label in attempt.labels if label != "reads" or attempt.trusted}
    for server in known:
        found |= server.every
    if attempt.kind != "tool":
        found |= _of_request(attempt, known)
    else:
        found |= _of_tool(attempt, known)
    return frozenset(found - {"reads"} if found & EFFECTS else found)


def _of_request(attempt: Attempt, known: Sequence[ServerLabels]) -> frozenset[str]:
    if attempt.kind not in ("resource", "prompt", "completion"):
        return frozenset()
    if known or attempt.trusted:
        return frozenset({"reads"})
    # Nobody knows the server: a URI or an argument of a prompt carries out what it is filled with.
    return frozenset({"reads", "untrusted", "private", "egress"})


def _of_tool(attempt: Attempt, known: Sequence[ServerLabels]) -> frozenset[str]:
    name = attempt.tool if attempt.tool is not None else attempt.name
    listed = frozenset[str]().union(*(one.of_tool(name, attempt.arguments) for one in known))
    if listed & (EFFECTS | {"reads"}):
        return listed
    if attempt.trusted:
        return listed | _annotated(attempt.annotations)
    if attempt.annotations.get("destructiveHint") is True or _destroys(name):
        return listed | _UNKNOWN_TOOL | {"destructive"}
    return listed | _UNKNOWN_TOOL


def _annotated(annotations: Mapping[str, Any]) -> frozenset[str]:
    """Return the labels that annotations mean, with the defaults that MCP gives them."""
    outside = annotations.get("openWorldHint") is not False
    if annotations.get("readOnlyHint") is True:
        return frozenset({"reads", "untrusted", "egress"} if outside else {"reads"})
    found = {"changes", "sends", "untrusted"} if outside else {"changes"}
    if annotations.get("destructiveHint") is not False:
        found.add("destructive")
    return frozenset(found)


def _destroys(name: str) -> bool:
    # "executeSQL" and "SQLQuery" are two words each.
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    words = re.sub(r"[^a-z0-9]+", "_", split)
    return bool(_DESTROYS.search(words) or _EXECUTES.search(words))


def only_read(attempt: Attempt, table: LabelTable) -> list[Pointer]:
    """Return the paths among the arguments that a changing tool is known to read only."""
    name = attempt.tool if attempt.tool is not None else attempt.name
    return [
        pointer
        for server in table.known(attempt)
        for names, pointers in server.reads
        if names.match(name)
        for pointer in pointers
    ]


def read_by_people(attempt: Attempt, table: LabelTable) -> frozenset[str]:
    """Return the names of arguments that are known to be there for people to read."""
    name = attempt.tool if attempt.tool is not None else attempt.name
    return frozenset(
        text
        for server in table.known(attempt)
        for names, texts in server.texts
        if names.match(name)
        for text in texts
    )


def identify_server(
    *,
    command: str | None = None,
    args: Sequence[str] = (),
    url: str | None = None,
    bundled: str | None = None,
) -> str | None:
    """Return what a server of the user's is: `npm:…`, `pypi:…`, `url:…`, `bundled:…`, or None.

    Only plain ways of starting a package are recognised; an option that could put another program
    in its place (`--registry`, `--from`, `--package`) makes it unknown.
    """
    if bundled is not None:
        return f"bundled:{bundled}"
    if url is not None:
        parts = urlsplit(url)
        return f"url:{parts.scheme}://{parts.hostname}" if parts.scheme == "https" else None
    program = PurePath(command or "").name.removesuffix(".cmd").removesuffix(".exe")
    if program in _NPX:
        package = _package(args, _NPX[program])
        return None if package is None else f"npm:{re.sub(r'(?<=.)@.*', '', package)}"
    if program in _UVX:
        package = _package(args, _UVX[program])
        return None if package is None else f"pypi:{re.split('[@=<>~!]', package)[0]}"
    return None


def package_of(server: ServerConfig) -> str | None:
    """Return what a configured server is; None if nobody knows, or if a project brought it."""
    if PROJECT_LABEL in server.labels:
        return None
    return identify_server(
        command=server.command,
        args=server.args,
        url=None if server.url is None else str(server.url),
        bundled=server.bundled,
    )


def own_package(name: str | None) -> str | None:
    """Return what one of the host's own providers is; None for any other name."""
    return f"host:{name}" if name in RESERVED else None


def is_trusted(server: ServerConfig) -> bool:
    """Return whether a configured server's annotations count: by its setting, or as bundled."""
    if PROJECT_LABEL in server.labels:
        return False
    return server.trusted or server.bundled is not None


def ground_of(server: ServerConfig) -> Ground:
    """Return where a configured server's paths are, as far as its configuration tells."""
    if server.url is not None:
        return Ground(local=False)
    roots = server.settings.get("roots") if server.bundled is not None else None
    texts = [text for text in roots if isinstance(text, str)] if isinstance(roots, list) else []
    if server.bundled is None and server.cwd is not None:
        texts = [server.cwd]
    return Ground(bases=tuple(Path(text).expanduser() for text in texts))


def _package(args: Sequence[str], before: tuple[str, ...]) -> str | None:
    words = list(args)
    if tuple(words[: len(before)]) != before:
        return None
    for word in words[len(before) :]:
        if word in _HARMLESS_FLAGS:
            continue
        plain = re.fullmatch(r"(@[a-z0-9._-]+/)?[a-z0-9._-]+([@=<>~!][\w.@=<>~!-]*)?", word)
        return word if plain and not word.startswith((".", "-")) else None
    return None
