import ast
import io
import json
import tokenize
from pathlib import Path
from typing import Any

import pytest
import yaml

from generator import literal
from generator.answers import Answers, spec_of
from generator.errors import GeneratorError
from generator.naming import identifier, package_name, project_name, unique
from generator.project import render_server
from generator.render import Template, check_path, render
from generator.sources.document import parse_document
from generator.sources.openapi import read_openapi
from generator.write import write_project

HOSTILE = (
    '"""\nimport os; os.system("x")\n"""',
    "'''); __import__('os').system('x') #",
    "{{ 7 * 7 }}{% for x in range(9) %}x{% endfor %}{# #}",
    "\\",
    '\\"""',
    'end"',
    "a\r\nimport os",
    "\u2028import os\u202e\u200b\ufeff\x00\x1b[2J",
    "${HOME} `id` $(id) <script>alert(1)</script> | --> ]]>",
    "# type: ignore\n# noqa",
    "\ud800",
)


def document(text: str, *, path: str | None = None) -> dict[str, Any]:
    """Return a document with a text in every place that reaches a file; its path may be another."""
    path = text if path is None else path
    schema = {
        "type": "object",
        "description": text,
        "required": [text],
        "properties": {
            text: {"type": "string", "description": text, "enum": [text, "b"], "default": text},
            "inner": {
                "type": "object",
                "description": text,
                "properties": {text: {"enum": [text]}},
            },
        },
    }
    return {
        "openapi": "3.0.0",
        "info": {"title": text, "description": text},
        "servers": [{"url": f"https://example.com/{text}"}],
        "components": {
            "securitySchemes": {text: {"type": "http", "scheme": "bearer", "description": text}}
        },
        "security": [{text: []}],
        "paths": {
            f"/{path}/{{{path}}}": {
                "get": {
                    "operationId": text,
                    "tags": [text],
                    "summary": text,
                    "description": text,
                    "parameters": [
                        {
                            "name": text,
                            "in": "query",
                            "description": text,
                            "schema": {"type": "string", "default": text, "enum": [text, "b"]},
                        },
                    ],
                },
                "post": {
                    "tags": [text],
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": schema}},
                    },
                },
            }
        },
    }


def files_of(source: dict[str, Any]) -> dict[str, str]:
    answers = Answers(kind="openapi", where="document", name="pets")
    return render_server(spec_of(answers, read_openapi(source)))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_document_makes_files_that_are_read_as_they_are_meant(text: str):
    files = files_of(document(text))
    assert all(check_path(path) is None for path in files)
    for path, content in files.items():
        if path.endswith(".py"):
            list(tokenize.generate_tokens(io.StringIO(content).readline))
            compile(content, path, "exec")
            assert literal.clean(content) == content, path
        elif path.endswith((".yaml", ".yml")):
            yaml.safe_load(content)
        elif path.endswith(".toml"):
            import tomllib  # noqa: PLC0415

            tomllib.loads(content)
    policy = yaml.safe_load(files["policy.yaml"])
    assert {rule["action"] for rule in policy["rules"]} <= {"allow", "ask"}
    assert "<script>" not in files["README.md"]


def test_names_that_lead_out_of_the_project_stay_inside():
    source = document("../../../etc/passwd")
    files = files_of(source)
    assert not any(".." in path or path.startswith("/") for path in files)
    assert "src/pets/tools/etc_passwd.py" in files


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../b", "a//../b", ".", "a b", "a\\b", "c:x", "a/\0"]
)
def test_path_that_leads_out_is_refused(path: str):
    with pytest.raises(GeneratorError):
        check_path(path)


def test_template_writes_a_plain_value_as_a_literal_whatever_it_is():
    template = Template("mine", "x.py", "value = {{ value }}\n")
    for text in HOSTILE:
        (source,) = render([template], {"value": text}).values()
        (node,) = ast.parse(source).body
        assert isinstance(node, ast.Assign)
        assert ast.literal_eval(node.value) == text


def test_template_cannot_reach_python_from_a_value():
    template = Template("mine", "x.py", "value = {{ ''.__class__.__mro__ }}\n")
    with pytest.raises(GeneratorError):
        render([template], {})


def test_value_that_is_no_name_is_refused_where_a_name_is_meant():
    template = Template("mine", "x.py", "def {{ value|name }}(): pass\n")
    for text in (*HOSTILE, "class", "a b", "1a", "é"):
        with pytest.raises(GeneratorError):
            render([template], {"value": text})


def test_aliases_that_multiply_are_read_within_bounds():
    lines = ["a0: &a0 {type: object, properties: {x: {type: string}}}"]
    for level in range(1, 40):
        names = ", ".join(f"p{n}: *a{level - 1}" for n in range(10))
        lines.append(f"a{level}: &a{level} {{type: object, properties: {{{names}}}}}")
    lines += [
        "openapi: 3.0.0",
        "info: {title: t}",
        "paths: {/x: {post: {requestBody: {required: true, content: {application/json: "
        "{schema: {type: object, properties: {deep: *a39}}}}}}}}",
    ]
    files = files_of(parse_document("\n".join(lines), name="bomb"))
    assert sum(map(len, files.values())) < 1_000_000


def test_cycles_of_references_end():
    source = document("plain")
    schemas = {
        "A": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/B"}}},
        "B": {"allOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}]},
        "C": {"$ref": "#/components/schemas/D"},
        "D": {"$ref": "#/components/schemas/C"},
    }
    source["components"]["schemas"] = schemas
    for name in schemas:
        source["paths"][f"/{name}"] = {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}
                    },
                }
            }
        }
    assert len([path for path in files_of(source) if path.startswith("docs/")]) == 6


@pytest.mark.parametrize(
    "text",
    ["", "[]", "5", "{", "a: [", "!!python/object/apply:os.system [id]", "&a [*a]", "[" * 5000],
)
def test_text_that_is_no_document_is_refused(text: str):
    with pytest.raises(GeneratorError):
        read_openapi(parse_document(text, name="it"))


def test_names_are_legal_readable_and_different():
    names = [
        "class",
        "getPetByID",
        "Größe ändern",
        "Ωμέγα",
        "",
        "1st",
        "print",
        "a-b",
        "a_b",
        "None",
    ]
    made: list[str] = []
    for name in names:
        made.append(unique(identifier(name), made))
    assert made == [
        "class_",
        "get_pet_by_id",
        "grosse_andern",
        "value",
        "value_2",
        "value_1st",
        "print_",
        "a_b",
        "a_b_2",
        "none",
    ]
    assert all(name.isidentifier() for name in made)


def test_project_names_are_never_those_of_modules_that_it_needs():
    assert package_name(project_name("fastmcp")) == "fastmcp_server"
    assert package_name("json") == "json_server"
    assert project_name("host") == "my-host"
    assert project_name("Ünïcode / CON") == "unicode-con"
    assert project_name("con") == "my-con"
    assert project_name("💥") == "server"


def test_folder_that_is_there_is_not_touched(tmp_path: Path):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    with pytest.raises(GeneratorError, match="exists already"):
        write_project(folder, {"mine": "theirs"})
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(GeneratorError, match="exists already"):
        write_project(link, {"mine": "theirs"})
    assert (folder / "mine").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "link"]


def test_record_keeps_neither_secret_nor_path_of_the_machine():
    for kind, where in [
        ("curl", "curl -u ann:secret https://example.com"),
        ("database", "postgresql://ann:secret@localhost/x"),
        ("openapi", "https://ann:secret@example.com/x.json"),
        ("openapi", "https://example.com/x.json?key=secret"),
        ("openapi", "/home/secret/x.json"),
        ("python", "secret.py"),
        ("cli", "/opt/secret/bin/tool"),
    ]:
        record = json.dumps(Answers(kind=kind, where=where).as_record())  # type: ignore[arg-type]
        assert "secret" not in record
