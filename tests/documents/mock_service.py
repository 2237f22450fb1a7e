"""A service that mocks an OpenAPI document: it knows the document's own text and complains."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote

import jsonschema_rs

METHODS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Operation:
    """One operation as the document has it."""

    method: str
    path: str
    pattern: re.Pattern[str]
    parameters: tuple[Mapping[str, Any], ...]
    body: Mapping[str, Any]
    pointer: str
    """Where its body's content is in the document; empty where it has none."""


@dataclass
class MockService:
    """An ASGI application that answers what the document knows, and keeps what was wrong."""

    document: Mapping[str, Any]
    seen: list[str] = field(default_factory=list[str])
    """`METHOD path` of the operations that the last request may have been."""
    complaints: list[str] = field(default_factory=list[str])
    """What is wrong with the last request."""

    def __post_init__(self) -> None:
        self._operations = list(self._read())
        try:
            self._registry = jsonschema_rs.Registry([("urn:doc", dict(self.document))])
        except ValueError:  # an object that has itself inside, by an alias of YAML
            self._registry = jsonschema_rs.Registry([("urn:doc", {})])
        modern = str(self.document.get("openapi", "")).startswith(("3.1", "3.2"))
        self._check = (
            jsonschema_rs.Draft202012Validator if modern else jsonschema_rs.Draft4Validator
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        data = b""
        while True:
            event = await receive()
            data += event.get("body", b"")
            if not event.get("more_body"):
                break
        headers = {k.decode().lower(): v.decode("latin-1") for k, v in scope["headers"]}
        path = scope["raw_path"].decode().removeprefix("/mock")
        self.judge(
            scope["method"], path, query=scope["query_string"].decode(), headers=headers, data=data
        )
        status = 200 if self.seen and not self.complaints else 400
        body = json.dumps({"seen": self.seen, "complaints": self.complaints}).encode()
        start = {"type": "http.response.start", "status": status}
        await send({**start, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    def judge(
        self, method: str, path: str, *, query: str, headers: Mapping[str, str], data: bytes
    ) -> None:
        """Find the operations that a request may be, and what is wrong with it for each."""
        found = [
            one
            for one in self._operations
            if one.method == method.lower() and one.pattern.fullmatch(path)
        ]
        self.seen = [f"{method} {one.path}" for one in found]
        given = {
            "query": {key for key, _ in parse_qsl(query, keep_blank_values=True)},
            "header": set(headers),
            "cookie": {
                part.partition("=")[0].strip() for part in headers.get("cookie", "").split(";")
            },
        }
        problems = [[*_missing(one, given), *self._wrong_body(one, headers, data)] for one in found]
        self.complaints = min(problems, key=len) if problems else []

    def _read(self) -> Iterator[Operation]:
        for path, raw in dict(self.document.get("paths") or {}).items():
            item = self._follow(raw)
            for method in METHODS:
                operation = item.get(method)
                if isinstance(operation, dict):
                    yield self._operation(path, item, method, cast("dict[str, Any]", operation))

    def _operation(
        self, path: str, item: Mapping[str, Any], method: str, operation: Mapping[str, Any]
    ) -> Operation:
        listed: list[object] = [
            *(item.get("parameters") or []),
            *(operation.get("parameters") or []),
        ]
        parameters = [self._follow(one) for one in listed]
        stated = _object(operation.get("requestBody"))
        body = self._follow(stated)
        reference = str(stated.get("$ref", ""))
        own = f"#/paths/{_escaped(path)}/{method}/requestBody"
        parts = re.split(r"\{[^{}]+\}", path)
        pattern = re.compile("[^/]+".join(re.escape(_quoted(part)) for part in parts))
        pointer = (reference or own) + "/content" if body else ""
        return Operation(method, path, pattern, tuple(parameters), body, pointer)

    def _follow(self, value: object) -> Mapping[str, Any]:
        for _ in range(20):
            ref = _object(value).get("$ref")
            if not isinstance(ref, str) or not ref.startswith("#/"):
                break
            value = self.document
            for part in ref[2:].split("/"):
                value = _inside(value, unquote(part).replace("~1", "/").replace("~0", "~"))
        return _object(value)

    def _wrong_body(self, one: Operation, headers: Mapping[str, str], data: bytes) -> list[str]:
        message = Message()
        message["content-type"] = headers.get("content-type", "")
        kind = message.get_content_type() if data else ""
        if not one.body:
            return []
        content = dict(one.body.get("content") or {})
        if not data:
            return (
                ["no body"]
                if one.body.get("required") is True and "json" in str(list(content))
                else []
            )
        declared = [media for media in content if _fits(media, kind)]
        if not declared:
            return [f"a body of {kind}, declared are {', '.join(content)}"]
        if "json" not in kind or "schema" not in (content[declared[0]] or {}):
            return []
        pointer = f"{one.pointer}/{_escaped(declared[0])}/schema"
        try:
            check = self._check({"$ref": f"urn:doc{pointer}"}, registry=self._registry)
            errors = [error.message[:200] for error in check.iter_errors(json.loads(data))]
            # `nullable` of OpenAPI 3.0 is no word of JSON Schema.
            return [
                f"body: {said}" for said in errors if not said.startswith("null is not of type")
            ]
        except (ValueError, TypeError, jsonschema_rs.ReferencingError):
            return []


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _inside(value: object, key: str) -> object:
    if isinstance(value, list):
        items = cast("list[object]", value)
        return items[int(key)] if key.isdigit() and int(key) < len(items) else None
    return _object(value).get(key)


def _quoted(text: str) -> str:
    """Return a part of a path as it goes over the wire; escapes in the document stay."""
    return "".join(
        part if re.fullmatch("%[0-9A-Fa-f]{2}", part) else quote(part, safe="/:@!$&'()*+,;=~")
        for part in re.split("(%[0-9A-Fa-f]{2})", text)
    )


def _fits(declared: str, kind: str) -> bool:
    plain = declared.partition(";")[0].strip().lower()
    return (
        plain in (kind, "*/*")
        or ("json" in plain and "json" in kind)
        or (kind.startswith("text/") and "json" not in plain and "form" not in plain)
    )


def _missing(one: Operation, given: Mapping[str, set[str]]) -> list[str]:
    names = [
        (str(parameter.get("in")), str(parameter.get("name")))
        for parameter in one.parameters
        if parameter.get("required") is True
    ]
    return [
        f"no {place} {name}"
        for place, name in names
        if place in given and (name.lower() if place == "header" else name) not in given[place]
        if name.lower() not in ("authorization", "content-type", "accept")
    ]


def _escaped(text: str) -> str:
    return (
        text.replace("~", "~0")
        .replace("/", "~1")
        .replace("%", "%25")
        .replace("{", "%7B")
        .replace("}", "%7D")
    )
