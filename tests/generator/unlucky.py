"""Sources of each kind full of names and texts that a linter or a formatter has an opinion on."""

import builtins
import json
import keyword
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from generator.answers import Answers
from tests.generator.projects import Made, make

LETTERS = ("l", "O", "I", "o", "i", "x", "T", "_")
CASES = ("TIMEOUT", "URL", "HTTPServer", "camelCase", "Snake_Case", "__init__", "__all__", "__X__")
MEANT = ("timeout", "self", "cls", "ctx", "test_it", "pytest", "anyio", "arguments", "answer")
LONG = (*("n" * length for length in range(40, 50)), "very_" * 9, "word_" * 30)
FEW = (*LETTERS, *CASES, *MEANT, *LONG, "class", "None", "match", "type", "id", "list", "filter")
NAMES = (
    *dict.fromkeys((*FEW, *keyword.kwlist, *keyword.softkwlist)),
    *(name for name in dir(builtins) if name.islower() and not name.startswith("_")),
)
MANY = 15
"""Arguments of a tool."""
TEXTS = (
    """It's "all" or "none".""",
    """'\'"\"""",
    '"' * 4 + "'",
    "back\\slash 'and' \"more\"",
    "a line that is longer than the hundred characters that fit on one line of a project " * 2,
    '"""',
    "é ☃ \u200b {{ x }} {% y %} {x}",
)


def chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return names in groups of as many as a tool has arguments."""
    for start in range(0, len(names), MANY):
        yield names[start : start + MANY]


def openapi(folder: Path, names: Sequence[str]) -> Answers:
    """Return a document with an operation for each name, and each name among the arguments."""
    groups = [*chunks(names)]
    paths: dict[str, object] = {}
    for number, name in enumerate(names):
        text = TEXTS[number % len(TEXTS)]
        where = {"in": "query", "description": text}
        parameters = [
            {"name": one, **where, "schema": {"type": "string", "default": text}}
            for one in groups[number % len(groups)]
        ]
        body = {"type": "object", "required": ["l"], "properties": {"l": {"enum": [*TEXTS, 1]}}}
        tag = name if number % 9 == 0 else "things"
        operation: dict[str, object] = {
            "operationId": name,
            "tags": [tag],
            "summary": text,
            "parameters": parameters,
        }
        content = {"application/json": {"schema": body}}
        if number % 3 == 0:
            operation["requestBody"] = {"content": content, "required": True}
        method = "post" if number % 3 == 0 else "get"
        paths[f"/{name}/{'segment/' * (number % 12)}{number}"] = {method: operation}
    info = {"title": "Things", "version": "1", "description": TEXTS[0] * 5}
    document = {
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": "https://a.b"}],
        "paths": paths,
    }
    file = folder / "things.json"
    file.write_text(json.dumps(document))
    return Answers(kind="openapi", where=str(file))


def python(folder: Path, names: Sequence[str]) -> Answers:
    """Return a module with a function for each name that can be one."""
    legal = [one for one in names if one.isidentifier() and not keyword.iskeyword(one)]
    defaults = [*map(repr, TEXTS), "None", "0.5", "1", "-1e300", "True", "(1, 2)", "[]"]
    kinds = ("int", "str", "list[int]", "Optional[None]", "float", "bool", "Any", "None", "Unknown")
    lines = ["from __future__ import annotations", "from typing import *"]
    for number, name in enumerate(one for one in legal if not one.startswith("__")):
        some = [legal[(number * MANY + step) % len(legal)] for step in range(MANY)]
        arguments = ", ".join(
            f"{one}: {kinds[(number + step) % len(kinds)]} = {defaults[step % len(defaults)]}"
            for step, one in enumerate(dict.fromkeys(some))
        )
        doc = repr(TEXTS[number % len(TEXTS)])
        lines.append(f"def {name}({arguments}) -> None:\n    {doc}\n")
    file = folder / "things.py"
    file.write_text("\n".join(lines))
    return Answers(kind="python", where=str(file))


def command(folder: Path, names: Sequence[str]) -> Answers:
    """Return a program with a subcommand for each name, and each name among its options."""
    words = [one.strip("_").replace("_", "-") for one in names if one.strip("_")]
    options = "".join(f"  --{one} TEXT  {TEXTS[0]}\n" for one in words[:70])
    said = f"Usage: tool [OPTIONS]\n\nOptions:\n{options}"
    commands = "".join(f"  {one}  {TEXTS[0]}\n" for one in words[:40])
    top = f"{said}\nCommands:\n{commands}"
    file = folder / "tool"
    text = f"print({top!r} if len(sys.argv) < 3 else {said!r})"
    file.write_text(f"#!{sys.executable} -S\nimport sys\n{text}\n")
    file.chmod(0o755)
    return Answers(
        kind="cli", where=str(file), only=(*words[:1], "i", "x", "timeout", "test-it", words[30])
    )


def database(folder: Path, names: Sequence[str]) -> Answers:
    """Return a database with a table for each name, and each name among the columns."""
    file = folder / "things.db"
    groups = [tuple({one.lower(): one for one in group}.values()) for group in chunks(names)]
    with sqlite3.connect(file) as connection:
        for number, name in enumerate({one.lower(): one for one in names}.values()):
            columns = ", ".join(f'"{one}" text' for one in groups[number % len(groups)])
            connection.execute(f'create table "{name}"({columns})')
    connection.close()
    return Answers(kind="database", where=f"sqlite:///{file}")


def curl(_: Path, names: Sequence[str]) -> Answers:
    """Return a command line with each name among the parameters."""
    query = "&".join(f"{one}=1" for one in names[:60])
    fields = json.dumps(dict(zip(names[:7], TEXTS, strict=True))).replace("'", "")
    line = f"curl -d '{fields}' 'https://a.b/{'n' * 48}/{'long/' * 20}?{query}'"
    return Answers(kind="curl", where=line)


SOURCES = {
    "openapi": openapi,
    "python": python,
    "cli": command,
    "database": database,
    "curl": curl,
}


def make_unlucky(kind: str, folder: Path, names: Sequence[str] = NAMES) -> Made:
    """Make a project of a kind whose source has these names, and all of the texts."""
    return make(SOURCES[kind](folder, names), folder / "made", f"things-{kind}")
