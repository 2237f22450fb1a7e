"""Makes projects of every kind for tests: source, transport, auth, features."""

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

from generator.answers import Answers, spec_of
from generator.project import RECORD, record_of, render_server
from generator.sources.read import read_source
from generator.write import write_project

DOCUMENTS = Path(__file__).with_name("documents")
FUNCTIONS = '''"""Sums and greetings."""

from dataclasses import dataclass
from typing import Literal


@dataclass
class Point:
    x: int


def greet(name: str, *, mood: Literal["good", "bad"] = "good", times: int = 1) -> str:
    """Greet somebody.

    Args:
        name: Who is greeted,
            in full.
        mood: How.
    """
    return f"{mood} day, {name}! " * times


async def total(numbers: list[float], start: float | None = None, /) -> float:
    """Add numbers."""
    return sum(numbers) + (start or 0)


def move(point: Point, lambda_: dict[str, int] = {}, marker=object()) -> None:
    pass


def count_visit(place: str) -> str:
    """Have the name of the tool that shows the feature `lifespan`."""
    return place


def greet_user(place: str) -> str:
    """Have the name of the tool that shows the feature `elicitation`."""
    return place


def count_slowly(place: str) -> str:
    """Have the name of the tool that shows the feature `tasks`."""
    return place


def _hidden() -> None:
    pass
'''


@dataclass(frozen=True)
class Made:
    """A project that was written."""

    name: str
    folder: Path
    package: str


def sources(folder: Path) -> dict[str, Answers]:
    """Return answers for each kind of source, with what they read written to a folder."""
    write_sources(folder)
    return answers_about(folder)


def write_sources(folder: Path) -> None:
    """Write what sources read to a folder: a database and a module."""
    database = folder / "shop.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(
            'create table items(id integer primary key, name text, price real, "class" text);'
            'create table "odd ""name"""("a""b" text, data blob);'
            "create view cheap as select * from items where price < 2;"
        )
    connection.close()
    (folder / "sums.py").write_text(FUNCTIONS)


def answers_about(folder: Path) -> dict[str, Answers]:
    """Return answers for each kind of source, which read what was written to a folder."""
    curl = """curl -X POST -H 'X-Api-Key: s3cret' -u ann:pw -d '{"name": "x", "n": 1, "tags": []}' \
        'http://127.0.0.1:9/v1/items/?page=2&q=text&token=abc'"""
    return {
        "blank": Answers(kind="blank"),
        "openapi": Answers(kind="openapi", where=str(DOCUMENTS / "pets.yaml")),
        "python": Answers(kind="python", where=str(folder / "sums.py")),
        "cli": Answers(kind="cli", where="git", only=("log", "status", "commit")),
        "database": Answers(kind="database", where=f"sqlite:///{folder / 'shop.db'}"),
        "curl": Answers(kind="curl", where=curl),
    }


def make(answers: Answers, folder: Path, name: str) -> Made:
    """Make one project in a folder."""
    answers = replace(answers, name=name)
    text = Path(answers.where).read_text("utf-8") if answers.kind == "openapi" else ""
    spec = spec_of(answers, read_source(answers, text))
    files = render_server(spec)
    record = record_of(files, answers.as_record(), version="0")
    write_project(folder / name, {**files, RECORD: record})
    return Made(name, folder / name, spec.package)
