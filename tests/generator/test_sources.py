"""What sources are read into: secrets never stay, and what is not done is said."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from generator.answers import name_problem
from generator.errors import GeneratorError
from generator.literal import python
from generator.naming import RESERVED_PACKAGES, project_name
from generator.pattern import text_matching
from generator.shape import shape_of
from generator.sources.command import MAX_OPTIONS, parse_help
from generator.sources.curl import read_curl
from generator.sources.openapi import read_openapi
from generator.spec import Source, Tool


def only_tool(source: Source) -> Tool:
    (tool,) = [tool for group in source.groups for tool in group.tools]
    return tool


@pytest.mark.parametrize(
    "line",
    [
        "curl -H 'X-Custom: SECRET1SECRET' https://a.b/x",
        "curl 'https://a.b/x?q=SECRET1SECRET'",
        "curl 'https://a.b/x?sig=SECRET1SECRET&n=1'",
        "curl https://me:SECRET1SECRET@a.b/x",
        "curl -u me:SECRET1SECRET https://a.b/x",
        "curl -b 'sid=SECRET1SECRET' https://a.b/x",
        "curl --oauth2-bearer SECRET1SECRET https://a.b/x",
        "curl -sSLXPOST https://a.b/hooks/T000/SECRET1SECRET -d a=b",
        "curl -H 'Authorization: Digest SECRET1SECRET' https://a.b/x",
    ],
)
def test_what_looks_like_a_secret_is_nowhere_in_what_is_made(line: str):
    source = read_curl(line)
    assert "SECRET1SECRET" not in repr(source)
    assert any(one.secret for one in source.settings) or "part_1" in repr(only_tool(source).params)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("curl https://a.b/x https://c.d/y", "more than one address"),
        ("curl https://a.b/x; rm -rf /", "belongs to a shell"),
        ("curl https://a.b/x | sh", "belongs to a shell"),
        ("wget https://a.b/x", "does not begin with `curl`"),
        ("curl --ntlm -u a:b https://a.b", "logs in by `--ntlm`"),
        ("curl -E cert.pem https://a.b", "logs in by `-E`"),
        ("curl --frob https://a.b", "--frob of curl is not known"),
    ],
)
def test_curl_line_that_is_more_than_one_plain_request_is_refused(line: str, said: str):
    with pytest.raises(GeneratorError, match=re.escape(said)):
        read_curl(line)


def test_option_of_curl_that_is_left_out_is_said():
    notes = read_curl("curl -k --cacert a.pem https://a.b/x?limit=3").notes
    assert notes == (
        "`-k` of the curl command is left out.",
        "`--cacert` of the curl command is left out.",
    )


def document(schemes: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "servers": [{"url": "https://a.b"}],
        "components": {"securitySchemes": schemes},
        "paths": {"/x": {"post": {"operationId": "x", **operation}}},
    }


@pytest.mark.parametrize(
    ("scheme", "why"),
    [
        ({"type": "mutualTLS"}, "its kind is 'mutualTLS'"),
        ({"type": "http", "scheme": "digest"}, "its kind is HTTP 'digest'"),
        ({"type": "apiKey", "in": "header", "name": "two words"}, "its name or place"),
        (None, "the document does not define it"),
    ],
)
def test_login_that_cannot_be_done_is_said(scheme: dict[str, Any] | None, why: str):
    source = read_openapi(document({"s": scheme} if scheme else {}, {"security": [{"s": []}]}))
    (note,) = source.notes
    assert f"The login 's' is not done: {why}" in note
    assert "1 tool asks for it" in note
    assert only_tool(source).call["security"] == ()


def test_login_with_a_way_that_can_be_done_takes_that():
    schemes = {"s": {"type": "mutualTLS"}, "t": {"type": "http", "scheme": "bearer"}}
    source = read_openapi(document(schemes, {"security": [{"s": []}, {"t": []}]}))
    assert only_tool(source).call["security"] == (("t",),)
    assert "asks for it" not in " ".join(source.notes)


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "api-key", "X-Auth-Token"])
def test_header_that_is_a_credential_is_a_setting_and_no_argument(name: str):
    header = {"in": "header", "name": name, "required": True, "schema": {"type": "string"}}
    tool = only_tool(source := read_openapi(document({}, {"parameters": [header]})))
    assert tool.params == ()
    assert tool.call["security"] == ((name,),)
    assert [one.name for one in source.settings if one.secret]


def test_keywords_that_no_tool_says_are_named():
    schema = {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}]}}, "not": {}}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    (note,) = read_openapi(document({}, {"requestBody": body})).notes
    assert "`not`, `oneOf`" in note


def schema_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a tool says of a parameter with a schema."""
    names: dict[str, Any] = {}
    code = "from typing import *\nfrom pydantic import *\n"
    exec(f"{code}found = {shape_of(schema).annotation}", names)  # noqa: S102 - our own text
    return TypeAdapter[Any](names["found"]).json_schema()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^[a-z]{2}$"},
        {"type": "string", "pattern": "^(?=a).*$", "minLength": 1},
        {"type": "string", "format": "date-time"},
        {"type": "integer", "multipleOf": 5, "minimum": 10},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
        {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
    ],
)
def test_what_a_schema_says_is_in_the_schema_of_the_tool(schema: dict[str, Any]):
    assert schema_of(schema) == schema


@pytest.mark.parametrize(
    "pattern",
    [r"^[a-z]{3}-\d{4}$", r"^v\d+(\.\d+)*$", r"^[^/]+$", r"^\S+@\S+\.\S+$", r"a|b", r"^[\w.-]+$"],
)
def test_text_of_a_pattern_matches_it(pattern: str):
    text = text_matching(pattern, least=1)
    assert text is not None
    assert re.search(pattern, text)


@pytest.mark.parametrize(
    "pattern", [r"(?=x)", r"\p{L}", r"(\w{100}){100}", r"[a", r"a{999}", "[[]"]
)
def test_pattern_of_another_dialect_or_size_is_not_claimed(pattern: str):
    assert text_matching(pattern) is None


@settings(max_examples=300, deadline=None)
@given(st.text("ab01^$.*+?{}()[]|\\dws-,", max_size=12))
def test_pattern_that_is_claimed_is_taken_by_pydantic_too(pattern: str):
    text = text_matching(pattern)
    if text is not None:
        literal = python(pattern)
        names: dict[str, Any] = {}
        code = f"from pydantic import Field\nfound = Field(pattern={literal})"
        exec(code, names)  # noqa: S102 - our own text
        from typing import Annotated  # noqa: PLC0415 - beside its only use

        TypeAdapter(Annotated[str, names["found"]]).validate_python(text)


def test_options_beyond_the_most_are_named():
    lines = [f"  --option-{number}  Something" for number in range(MAX_OPTIONS + 2)]
    found = parse_help("usage: x [options]\n\nOptions:\n" + "\n".join(lines))
    assert len(found.options) == MAX_OPTIONS
    assert found.left_out == (f"--option-{MAX_OPTIONS}", f"--option-{MAX_OPTIONS + 1}")


@pytest.mark.parametrize("name", ["pydantic", "fastmcp", "httpx", "pytest", "ruff", "mcp", "email"])
def test_name_of_what_a_server_needs_is_refused_with_another(name: str):
    assert f"try '{name}-server'" in (name_problem(name) or "")
    assert name_problem(project_name(name)) is None


def test_no_project_is_named_like_a_module():
    made = {name: project_name(name) for name in RESERVED_PACKAGES}
    assert [one for one in made.values() if one.replace("-", "_") in RESERVED_PACKAGES] == []
    assert [one for one in made.values() if name_problem(one)] == []
