"""The source for a curl command line: one request becomes one tool; its secrets become settings."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from generator.errors import GeneratorError
from generator.naming import identifier, title, words
from generator.shape import as_object
from generator.sources.openapi import Selection, read_openapi
from generator.spec import Source

_DATA = (
    "-d",
    "--data",
    "--data-raw",
    "--data-ascii",
    "--data-binary",
    "--data-urlencode",
    "--json",
)
_QUIET = frozenset(
    {"-s", "--silent", "-S", "--show-error", "-L", "--location", "-f", "--fail", "-v", "--verbose"}
    | {"-i", "--include", "--compressed", "-g", "--globoff", "-#", "--progress-bar", "-O"}
    | {"--remote-name", "-4", "--ipv4", "-6", "--ipv6", "--http1.1", "--http2", "--no-buffer"}
    | {"-N", "--fail-with-body", "--path-as-is", "-q", "--basic", "--anyauth", "--tcp-nodelay"}
)
"""Options without a value that change nothing of the request."""
_QUIET_VALUES = frozenset(
    {"-o", "--output", "-m", "--max-time", "--connect-timeout", "-A", "--user-agent", "-e"}
    | {"--referer", "--retry", "-w", "--write-out", "--retry-delay", "-D", "--dump-header"}
    | {"--max-redirs", "-c", "--cookie-jar", "--stderr", "--trace", "--trace-ascii"}
)
"""The same, with a value."""
_LEFT_OUT = frozenset({"-k", "--insecure", "--proxy-insecure"})
_LEFT_OUT_VALUES = frozenset(
    {"-x", "--proxy", "--cacert", "--capath", "--resolve", "--connect-to", "--interface"}
    | {"--unix-socket", "--noproxy", "--socks5", "--limit-rate"}
)
"""Options that do change how the request is sent, which a generated server does not do."""
_LOGINS = frozenset(
    {"--digest", "--ntlm", "--negotiate", "--netrc", "-n", "--aws-sigv4", "-E", "--cert", "--key"}
    | {"--netrc-file", "--delegation", "--service-name", "-U", "--proxy-user"}
)
_SECRET = re.compile(
    r"auth|token|secret|key|passw|session|cookie|signature|\bsig\b|credential|jwt|bearer|csrf|xsrf",
    re.IGNORECASE,
)
"""Names of what nobody may read."""
_LETTERS = re.compile(r"[A-Za-z0-9+/=_.~:-]{10,}")
_PLAIN_VALUE = re.compile(r"[\d.:T/-]+Z?|[a-z]+([-_./:][a-z0-9]+)*|[A-Z][a-z]+")


@dataclass
class _Request:
    """What a command line asks for."""

    url: str = ""
    method: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    data: list[str] = field(default_factory=list[str])
    form: list[str] = field(default_factory=list[str])
    user: str = ""
    as_json: bool = False
    as_query: bool = False
    left_out: list[str] = field(default_factory=list[str])
    """Options that are not done."""


def looks_secret(value: str) -> bool:
    """Return whether a value looks like a key or a token: long, and of no words that one says."""
    text = value.strip()
    if not _LETTERS.fullmatch(text) or _PLAIN_VALUE.fullmatch(text):
        return False
    return any(letter.isdigit() for letter in text) and any(letter.isalpha() for letter in text)


def read_curl(line: str) -> Source:
    """Return the source.

    Args:
        line: `curl …` as a person would type it; nothing of it is run.

    Raises:
        GeneratorError: It is not a curl command with an http(s) address, or reads a file.
    """
    try:
        parts = shlex.split(line.replace("\\\n", " "))
    except ValueError as error:
        raise GeneratorError(f"The curl command cannot be read: {error}.") from error
    if parts[:1] != ["curl"] and "://" not in "".join(parts[:1]):
        raise GeneratorError("The line does not begin with `curl`.", next_step=_EXAMPLE)
    request = _parse(iter(parts[1:] if parts[:1] == ["curl"] else parts))
    source = read_openapi(_document(request), selection=Selection())
    notes = [f"`{option}` of the curl command is left out." for option in request.left_out]
    return replace(source, notes=(*source.notes, *notes))


_EXAMPLE = "For example: curl 'https://example.com/items?limit=10'."


def _parse(parts: Iterator[str]) -> _Request:
    request = _Request()
    for part in parts:
        if part in ("|", "||", "&", "&&", ";", ">", ">>", "<") or part.endswith(";"):
            raise GeneratorError(f"{part!r} belongs to a shell; give the curl command alone.")
        if part.startswith("--"):
            option, equals, value = part.partition("=")
            _option(request, option, value if equals else None, parts)
        elif part.startswith("-") and len(part) > 1:
            _cluster(request, part[1:], parts)
        else:
            _set_url(request, part)
    return request


def _set_url(request: _Request, url: str) -> None:
    if request.url:
        raise GeneratorError(
            "The curl command has more than one address.",
            next_step="A tool is made of one request; quote the address if it is only one.",
        )
    request.url = url


def _cluster(request: _Request, letters: str, parts: Iterator[str]) -> None:
    """Read short options that stand together: `-sSL`, `-XPOST`."""
    while letters:
        option, letters = f"-{letters[0]}", letters[1:]
        if option in _TAKES or option in _QUIET_VALUES or option in _LEFT_OUT_VALUES:
            _option(request, option, letters.removeprefix("=") if letters else None, parts)
            return
        _option(request, option, None, parts)


def _option(request: _Request, option: str, value: str | None, parts: Iterator[str]) -> None:
    if option in ("-G", "--get"):
        request.as_query = True
    elif option in ("-I", "--head"):
        raise GeneratorError("A request for headers only (`--head`) makes no useful tool.")
    elif option in _LOGINS:
        raise GeneratorError(
            f"The curl command logs in by `{option}`, which a generated server does not do.",
            next_step="A token, an API key or a user and password (`-u`) can be done.",
        )
    elif option in _TAKES:
        _take(request, option, _value(option, parts) if value is None else value)
    elif option in _QUIET_VALUES or option in _LEFT_OUT_VALUES:
        _ = _value(option, parts) if value is None else value
        request.left_out += [option] if option in _LEFT_OUT_VALUES else []
    elif option in _LEFT_OUT:
        request.left_out.append(option)
    elif option not in _QUIET:
        raise GeneratorError(
            f"The option {option[:40]} of curl is not known here.", next_step="Leave it out."
        )


def _value(option: str, parts: Iterator[str]) -> str:
    value = next(parts, None)
    if value is None:
        raise GeneratorError(f"The curl command ends after {option}, which needs a value.")
    return value


_TAKES = frozenset(
    {"-X", "--request", "-H", "--header", "-u", "--user", "--url", "-F", "--form", "-b"}
    | {"--cookie", "--form-string", "--oauth2-bearer", *_DATA}
)


def _take(request: _Request, option: str, value: str) -> None:
    if option in ("-X", "--request"):
        request.method = value.upper()
    elif option in ("-H", "--header"):
        name, _, text = value.partition(":")
        request.headers.append((name.strip(), text.strip()))
    elif option in ("-u", "--user"):
        request.user = value
    elif option == "--url":
        _set_url(request, value)
    elif option == "--oauth2-bearer":
        request.headers.append(("Authorization", f"Bearer {value}"))
    elif option in ("-b", "--cookie"):
        request.headers.append(("Cookie", value))
    elif option in ("-F", "--form", "--form-string"):
        request.form.append(value)
    elif option in _DATA:
        if value.startswith("@"):
            raise GeneratorError(f"The curl command reads the file {value[1:]!r}; write the data.")
        request.data.append(value)
        request.as_json = request.as_json or option == "--json"


def _document(request: _Request) -> dict[str, Any]:
    """Return the OpenAPI document that says what the request says."""
    if "://" not in request.url:
        request.url = f"https://{request.url}"
    parts = urlsplit(request.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GeneratorError(
            "The curl command has no http(s) address in it.",
            next_step=_EXAMPLE,
        )
    if parts.username:
        request.user = request.user or unquote(parts.netloc.rpartition("@")[0])
    method = _method(request)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if request.as_query:
        query += [pair for text in request.data for pair in parse_qsl(text, keep_blank_values=True)]
    schemes, parameters = _secrets(request, query)
    path, hidden = _open_path(parts.path)
    name = _name(method, re.sub(r"\{[^}]*\}", "", path))
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": title(name),
        "description": f"{method} {path} of {parts.hostname}.",
        "parameters": [*parameters, *hidden],
        "security": [{name: [] for name in schemes}] if schemes else [],
    }
    body = None if request.as_query else _body(request)
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return {
        "openapi": "3.1.0",
        "info": {"title": parts.hostname, "description": operation["description"]},
        "servers": [{"url": f"{parts.scheme}://{host}{port}"}],
        "components": {"securitySchemes": schemes},
        "paths": {path: {method.lower(): operation}},
    }


def _open_path(text: str) -> tuple[str, list[dict[str, Any]]]:
    """Return a path with a name in the place of each part that looks like a secret, and those."""
    parts = (unquote(text) or "/").replace("{", "").replace("}", "").split("/")
    parameters: list[dict[str, Any]] = []
    for place, part in enumerate(parts):
        if looks_secret(part):
            name = f"part_{len(parameters) + 1}"
            about = "A part of the address that looked like a secret, and is not kept."
            parameters.append(
                {"in": "path", "name": name, "required": True, "description": about}
                | {"schema": {"type": "string"}}
            )
            parts[place] = f"{{{name}}}"
    return "/".join(parts), parameters


def _method(request: _Request) -> str:
    has_body = (request.data or request.form) and not request.as_query
    method = request.method or ("POST" if has_body else "GET")
    if method not in ("GET", "PUT", "POST", "DELETE", "PATCH"):
        raise GeneratorError(f"The method {method[:20]!r} is not one that a tool can be made of.")
    return method


def _name(method: str, path: str) -> str:
    parts = [part for part in path.split("/") if words(part)][-2:]
    return identifier(" ".join([method, *parts]), otherwise=method.lower())


def _secrets(
    request: _Request, query: list[tuple[str, str]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the schemes for what looks like a secret, and parameters for the rest."""
    schemes: dict[str, Any] = {}
    parameters: list[dict[str, Any]] = []
    if request.user:
        schemes["login"] = {"type": "http", "scheme": "basic"}
    for name, value in request.headers:
        lower = name.lower()
        if lower == "authorization":
            kind = "basic" if value.lower().startswith("basic") else "bearer"
            schemes["access"] = (
                {"type": "http", "scheme": kind}
                if value.lower().startswith(("basic ", "bearer "))
                else {"type": "apiKey", "in": "header", "name": name}
            )
        elif lower == "cookie":
            for part in value.split(";"):
                cookie = part.partition("=")[0].strip()
                schemes[f"cookie {cookie}"] = {"type": "apiKey", "in": "cookie", "name": cookie}
        elif _SECRET.search(name) or looks_secret(value):
            schemes[name] = {"type": "apiKey", "in": "header", "name": name}
        elif lower not in ("content-type", "accept", "user-agent"):
            parameters.append(_parameter("header", name, value))
    for name, value in query:
        if _SECRET.search(name) or looks_secret(value):
            schemes[name] = {"type": "apiKey", "in": "query", "name": name}
        else:
            parameters.append(_parameter("query", name, value))
    return schemes, parameters


def _parameter(place: str, name: str, value: str) -> dict[str, Any]:
    number = re.fullmatch(r"-?\d{1,15}", value) is not None
    schema = {"type": "integer", "default": int(value)} if number else {"type": "string"}
    if not number:
        schema["default"] = value
    return {"in": place, "name": name, "schema": schema}


def _body(request: _Request) -> dict[str, Any] | None:
    if request.form:
        pairs = [part.partition("=") for part in request.form]
        names = {name: value for name, _, value in pairs}
        binary = {"type": "string", "format": "binary"}
        properties: dict[str, Any] = {
            name: binary if value.startswith(("@", "<")) else {"type": "string"}
            for name, value in names.items()
        }
        return {"multipart/form-data": {"schema": _object(properties)}}
    if not request.data:
        return None
    text = "&".join(request.data)
    try:
        value: object = json.loads(text)
    except ValueError:
        value = None
    kinds = [v.lower() for k, v in request.headers if k.lower() == "content-type"]
    if isinstance(value, dict):
        found = {key: _schema_of(one) for key, one in as_object(cast("object", value)).items()}
        return {"application/json": {"schema": _object(found)}}
    if request.as_json or any("json" in kind for kind in kinds):
        return {"application/json": {"schema": _schema_of(value)}}
    fields = parse_qsl(text, keep_blank_values=True)
    if fields and not any("text" in kind or "xml" in kind for kind in kinds):
        texts = {name: {"type": "string"} for name, _ in fields}
        return {"application/x-www-form-urlencoded": {"schema": _object(texts)}}
    return {"text/plain": {"schema": {"type": "string"}}}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _schema_of(value: object) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"type": "boolean"}
    for kind, name in ((int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, kind):
            return {"type": name}
    return {"type": "array"} if isinstance(value, list) else {"type": "object"} if value else {}
