"""The source for OpenAPI documents (2.0, 3.0, 3.1): each operation becomes a tool."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urljoin, urlsplit

from generator.errors import GeneratorError
from generator.literal import Code, clean, one_line
from generator.naming import group_name, identifier, title, unique, words
from generator.shape import as_list, as_object, shape_of
from generator.sources.body import read_body
from generator.sources.choice import check_choice, is_chosen
from generator.sources.parameter import Draft, draft_parameter, finish
from generator.sources.schemas import Resolver
from generator.sources.security import CREDENTIAL, Security, read_security
from generator.spec import Effect, Group, Param, Setting, Source, Tool

METHODS = ("get", "put", "post", "delete", "patch")
GROUP_SIZE = 25
"""Most tools of one module."""
DESTROYING = frozenset(
    {
        "delete",
        "remove",
        "destroy",
        "purge",
        "drop",
        "erase",
        "wipe",
        "cancel",
        "revoke",
        "reset",
        "clear",
        "terminate",
        "kill",
    }
)


@dataclass(frozen=True)
class Selection:
    """Which operations are wanted: those of any tag and any pattern; all where both are empty."""

    tags: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    """`GET /pets*` or the name of an operation, with `*` and `?`."""

    def wants(self, method: str, path: str, operation: Mapping[str, Any]) -> bool:
        """Return whether an operation is among them."""
        tags = operation.get("tags")
        mine = [tag for tag in cast("list[object]", tags) if isinstance(tag, str)] if tags else []
        if self.tags and not set(self.tags) & set(mine):
            return False
        return any(is_chosen(name, self.patterns) for name in names_of(method, path, operation))


@dataclass
class _Reading:
    """What has been read so far."""

    resolver: Resolver
    security: Security
    selection: Selection
    names: set[str] = field(default_factory=set[str])


def read_openapi(
    document: Mapping[str, Any], *, address: str = "", selection: Selection | None = None
) -> Source:
    """Return the source.

    Args:
        document: The document, as `parse_document` returns it.
        address: Where it was fetched from, for relative servers; empty for a file.
        selection: Which operations are wanted; None for all.

    Raises:
        GeneratorError: It is no OpenAPI document, or no operation is wanted.
    """
    if not isinstance(document.get("openapi") or document.get("swagger"), str | int | float):
        raise GeneratorError(
            "The document has neither `openapi` nor `swagger` in it.",
            next_step="An OpenAPI document of version 2.0, 3.0 or 3.1 is expected.",
        )
    resolver = Resolver(document)
    proofs = (
        name
        for _, _, item, operation in _operations(document, resolver)
        for name in _proofs(resolver, item, operation)
    )
    security = read_security(document, resolver, headers=tuple(dict.fromkeys(proofs)))
    reading = _Reading(resolver, security, selection or Selection())
    grouped: dict[str, list[Tool]] = {}
    for method, path, item, operation in _operations(document, resolver):
        if reading.selection.wants(method, path, operation):
            tool = _tool(reading, method, path, item=item, operation=operation)
            grouped.setdefault(_tag(operation, path), []).append(tool)
    _check_selection(reading.selection, document, resolver)
    if not grouped:
        raise GeneratorError("The document has no operation that is wanted.")
    info = as_object(document.get("info"))
    base = base_url(document, address)
    return Source(
        "http",
        _groups(grouped),
        settings=(*_http_settings(base), *security.settings),
        dependencies=("httpx>=0.28",),
        title=_text(info.get("title")),
        description=_text(info.get("description")) or _text(info.get("title")),
        extra={"schemes": security.schemes, "origin": "an OpenAPI document"},
        notes=(*security.notes, *resolver.notes),
    )


def _check_selection(selection: Selection, document: Mapping[str, Any], resolver: Resolver) -> None:
    """Refuse tags and patterns that choose no operation."""
    check_choice(selection.tags, tags_of(document), "tag")
    if not selection.patterns:
        return
    names = [
        name
        for method, path, _, operation in _operations(document, resolver)
        for name in names_of(method, path, operation)
        if name
    ]
    check_choice(selection.patterns, names, "operation")


def names_of(method: str, path: str, operation: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what an operation can be called by."""
    return f"{method.upper()} {path}", path, _text(operation.get("operationId"))


def tags_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tags of a document's operations, in their order."""
    found: dict[str, None] = {}
    for _, _, _, operation in _operations(document, Resolver(document)):
        for tag in as_list(operation.get("tags")):
            if isinstance(tag, str):
                found[tag] = None
    return tuple(found)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _operations(
    document: Mapping[str, Any], resolver: Resolver
) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    for path, raw in as_object(document.get("paths")).items():
        item = resolver.follow(raw)
        for method in METHODS:
            if isinstance(item.get(method), Mapping) and path.startswith("/"):
                yield method, path, item, as_object(item[method])


def _tag(operation: Mapping[str, Any], path: str) -> str:
    tags = operation.get("tags")
    if isinstance(tags, list) and tags and isinstance(tags[0], str) and words(tags[0]):
        return tags[0]
    parts = [part for part in path.split("/") if part and "{" not in part and words(part)]
    return parts[0] if parts else "operations"


def _groups(grouped: Mapping[str, list[Tool]]) -> tuple[Group, ...]:
    groups: list[Group] = []
    taken: set[str] = set()
    for tag, tools in grouped.items():
        for start in range(0, len(tools), GROUP_SIZE):
            file = group_name(tag, taken, otherwise="operations")
            taken.add(file)
            label = one_line(tag, 60) or "operations"
            groups.append(Group(file, label, tuple(tools[start : start + GROUP_SIZE])))
    return tuple(groups)


def _tool(
    reading: _Reading,
    method: str,
    path: str,
    *,
    item: Mapping[str, Any],
    operation: Mapping[str, Any],
) -> Tool:
    stated = _text(operation.get("operationId"))
    fallback = f"{method} {' '.join(part.strip('{}') for part in path.split('/'))}"
    name = unique(
        identifier(stated if words(stated) else fallback, otherwise=method), reading.names
    )
    reading.names.add(name)
    drafts = _drafts(reading.resolver, item, operation)
    proofs = _proofs(reading.resolver, item, operation)
    drafts = [draft for draft in drafts if draft.wire not in proofs]
    path = _complete(path, drafts)
    body = read_body(operation, reading.resolver, drafts)
    params = finish((*drafts, *body.drafts), path)
    effect = effect_of(method, name)
    summary, about = _text(operation.get("summary")), _text(operation.get("description"))
    described = "\n\n".join(
        dict.fromkeys(part.strip() for part in (summary, about) if part.strip())
    )
    sample = {param.wire: param.sample for param in params if param.place == "path"}
    return Tool(
        name,
        one_line(summary, 60) or title(name),
        clean(described).strip()[:3_000] or f"{title(name)}.",
        params,
        effect=effect,
        idempotent=method in ("get", "put", "delete"),
        open_world=True,
        labels=("untrusted",) if effect == "reads" else ("untrusted", "sends"),
        call={
            "method": method.upper(),
            "path": path,
            "expected_path": fill_path(path, sample),
            "encoding": body.encoding,
            "media": body.media,
            "nulls": tuple(p.wire for p in params if p.required and _may_be_null(p)),
            "places": _places(params),
            "security": _with_proofs(reading.security, operation, proofs),
        },
    )


def _proofs(
    resolver: Resolver, item: Mapping[str, Any], operation: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the header parameters that carry a secret, which no model is to be asked for."""
    found = [
        resolver.follow(raw)
        for owner in (item, operation)
        for raw in as_list(owner.get("parameters"))
    ]
    names = [str(raw.get("name")) for raw in found if raw.get("in") == "header"]
    return tuple(dict.fromkeys(name for name in names if CREDENTIAL.fullmatch(name)))


def _with_proofs(
    security: Security, operation: Mapping[str, Any], proofs: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    """Return the sets of schemes, each with the headers that are secrets and in none of them."""
    sets = security.of(operation)
    asked = {name for names in sets for name in names}
    known = {scheme.wire.lower() for scheme in security.schemes if scheme.name in asked}
    own = tuple(name for name in proofs if name.lower() not in known)
    return tuple((*names, *own) for names in sets or ((),)) if own else sets


def _may_be_null(param: Param) -> bool:
    """Return whether None is a value of its own: where a part of a body has to be there."""
    plain = param.annotation.removeprefix("Annotated[").lstrip()
    takes = "None" in param.annotation or plain.startswith("Any")
    return takes and param.place in ("body", "whole")


def effect_of(method: str, name: str) -> Effect:
    """Return what an operation may do, from its method and the verbs in its name."""
    said = set(words(name))
    if method in ("delete", "put", "patch") or said & DESTROYING:
        return "destroys"
    return "reads" if method == "get" else "adds"


def _places(params: tuple[Any, ...]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    order = ("path", "query", "header", "cookie", "body", "whole", "file")
    found = [(place, tuple(p for p in params if p.place == place)) for place in order]
    return tuple((place, some) for place, some in found if some)


def fill_path(path: str, values: Mapping[str, Any]) -> str:
    """Return a path with values in the place of its `{names}`."""
    found = ""
    for part in re.split(r"(\{[^{}]+\})", path):
        if re.fullmatch(r"\{[^{}]+\}", part):
            found += quote(str(values.get(part[1:-1], "")), safe="", errors="replace")
        else:
            stray = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", part)
            found += quote(stray, safe="/%:@!$&'()*+,;=~", errors="replace")
    return found


def _drafts(
    resolver: Resolver, item: Mapping[str, Any], operation: Mapping[str, Any]
) -> list[Draft]:
    found: dict[tuple[str, str], Draft] = {}
    for owner in (item, operation):
        listed = owner.get("parameters")
        for raw in cast("list[object]", listed) if isinstance(listed, list) else []:
            draft = draft_parameter(resolver.follow(raw), resolver)
            if draft is not None:
                found[draft.place, draft.wire] = draft
    return list(found.values())


def _complete(path: str, drafts: list[Draft]) -> str:
    """Add the names of a path that the document says nothing about; drop parameters not in it."""
    names = re.findall(r"\{([^{}]+)\}", path)
    known = {draft.wire for draft in drafts if draft.place == "path"}
    drafts += [
        Draft(name, "path", {"type": "string"}, required=True)
        for name in dict.fromkeys(names)
        if name not in known
    ]
    drafts[:] = [draft for draft in drafts if draft.place != "path" or draft.wire in names]
    return path


def base_url(document: Mapping[str, Any], address: str = "") -> str:
    """Return the address of the service, empty where the document does not say it."""
    servers = document.get("servers")
    if isinstance(servers, list) and servers:
        first = as_object(cast("list[object]", servers)[0])
        url = _text(first.get("url"))
        for name, variable in as_object(first.get("variables")).items():
            url = url.replace(f"{{{name}}}", str(as_object(variable).get("default", "")))
    elif isinstance(document.get("host"), str):
        schemes = document.get("schemes")
        listed = cast("list[object]", schemes) if isinstance(schemes, list) else []
        scheme = "http" if listed and "https" not in listed else "https"
        url = f"{scheme}://{document['host']}{_text(document.get('basePath'))}"
    else:
        url = _text(document.get("basePath"))
    url = urljoin(address, url) if address else url
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    plain = re.fullmatch(r"[A-Za-z0-9._~:/\[\]@!$&'()*+,;=%-]+", url) is not None
    return url.rstrip("/") if plain and parts.scheme in ("http", "https") and parts.hostname else ""


def _http_settings(base: str) -> tuple[Setting, ...]:
    text, number = shape_of({"type": "string"}).annotation, Code("float")
    example = base if re.fullmatch(r"[A-Za-z0-9_.:/@+=-]+", base) else "https://api.example.com"
    return (
        Setting("base_url", text, base, "Address of the service that the tools call.",
                required=not base, example=example),
        Setting("timeout", number, 30.0, "Longest wait for an answer of the service, in seconds.",
                example="30"),
        Setting("max_bytes", Code("int"), 1_000_000, "Largest answer that is passed on, in bytes.",
                example="1000000"),
    )  # fmt: skip
