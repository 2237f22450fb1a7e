"""The questions of `host new-server`."""

import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from prompt_toolkit.completion import WordCompleter

from generator.answers import EXAMPLES, KINDS, Answers, Kind, name_problem
from generator.errors import GeneratorError
from generator.naming import project_name
from generator.spec import AUTHS, FEATURES, TRANSPORTS
from host.cli.question import ask_in_turn, choose, type_text

KIND_TEXTS: dict[Kind, str] = {
    "blank": "an idea: three example tools to replace",
    "openapi": "an OpenAPI document: a tool for each operation",
    "python": "a Python module: a tool for each function",
    "cli": "a command-line program: a tool for each subcommand",
    "database": "a database: a reading tool for each table",
    "curl": "a curl command: one tool",
}
MOST_LOOKED_AT = 2_000_000
"""Bytes of a document up to which its tags are looked up for the question about them."""
_AUTH_TEXTS = {"none": "none", "bearer": "one bearer token", "oauth": "OAuth 2.1"}


def ask_answers(known: Answers, *, asked_for: bool, folder: Path | None) -> Answers:
    """Ask for what is to be made, beginning with what is known already.

    Args:
        known: Answers from the command line; they are the defaults.
        asked_for: Whether the kind of source was given, and is not asked again.
        folder: Where the project goes, if not below the working folder.

    Raises:
        KeyboardInterrupt: The person ended it.
    """
    steps: list[Callable[[Answers], Answers | None]] = [
        lambda answers: None if asked_for else _ask_kind(answers),
        _ask_where,
        _ask_tags,
        _ask_only,
        lambda answers: _ask_name(answers, folder),
        _ask_description,
        _ask_transport,
        _ask_auth,
        _ask_features,
        lambda answers: _confirm(answers, folder),
    ]
    return ask_in_turn(known, steps)


def _ask_kind(answers: Answers) -> Answers:
    options: list[tuple[Any, str]] = [(kind, KIND_TEXTS[kind]) for kind in KINDS]
    kind = choose("What is the server made from?", options, answers.kind)
    where = answers.where if kind != "blank" and answers.kind in ("blank", kind) else ""
    if kind == answers.kind:
        return replace(answers, where=where)
    return replace(answers, kind=kind, where=where, tags=(), only=(), base_url="")


def _ask_where(answers: Answers) -> Answers | None:
    if answers.kind == "blank":
        return None

    def problem(text: str) -> str | None:
        if not text.strip():
            return f"For example: {EXAMPLES[answers.kind]}"
        return _PROBLEMS[answers.kind](text.strip())

    return replace(answers, where=type_text(f"Which {answers.kind}?", answers.where, problem))


def _no_file(text: str) -> str | None:
    there = "://" in text or Path(text).expanduser().is_file()
    return None if there else f"There is no file {text}"


def _no_module(text: str) -> str | None:
    target = text.rpartition(":")[0] or text
    if target.endswith(".py"):
        return _no_file(target)
    legal = all(part.isidentifier() for part in target.split("."))
    return None if legal else "A module, or a file with .py"


def _no_command(text: str) -> str | None:
    try:
        (first, *_) = shlex.split(text)
    except ValueError:
        return "A quotation mark is open"
    return None if shutil.which(first) else f"There is no command {first}"


_PROBLEMS: dict[Kind, Callable[[str], str | None]] = {
    "blank": lambda _: None,
    "openapi": _no_file,
    "python": _no_module,
    "cli": _no_command,
    "database": lambda text: None if "://" in text else "An address, such as sqlite:///shop.db",
    "curl": lambda text: None if text.startswith("curl ") else "It begins with `curl`",
}
"""What is wrong with the source of each kind, as far as a look at it tells."""


def _ask_tags(answers: Answers) -> Answers | None:
    if answers.kind != "openapi" or "://" in answers.where:
        return None
    known = _tags_of(Path(answers.where).expanduser())
    if not known:
        return None

    def problem(text: str) -> str | None:
        wrong = [tag for tag in _parts(text) if tag not in known]
        return (
            f"There is no tag {wrong[0]!r}; there are {', '.join(known)[:200]}" if wrong else None
        )

    text = type_text(
        "Operations of which tags (commas between; empty for all)?",
        ", ".join(answers.tags),
        problem,
        completer=WordCompleter(list(known), sentence=True),
    )
    return replace(answers, tags=_parts(text))


def _tags_of(file: Path) -> tuple[str, ...]:
    """Return the tags of a document's operations; none of one that is large or cannot be read."""
    from generator.sources.document import parse_document
    from generator.sources.openapi import tags_of

    with suppress(GeneratorError, OSError, ValueError):
        if file.stat().st_size <= MOST_LOOKED_AT:
            return tags_of(parse_document(file.read_text("utf-8-sig"), name=file.name))
    return ()


def _ask_only(answers: Answers) -> Answers | None:
    examples = {"openapi": "GET /pets*", "cli": "log, show*", "database": "customer, order_*"}
    if answers.kind not in examples:
        return None
    text = type_text(
        f"Only some of them, such as {examples[answers.kind]} (empty for all)?",
        ", ".join(answers.only),
        lambda _: None,
    )
    return replace(answers, only=_parts(text))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _ask_name(answers: Answers, folder: Path | None) -> Answers:
    def problem(text: str) -> str | None:
        found = name_problem(text.strip())
        taken = folder is None and Path(text.strip() or "-").exists()
        return found or (f"A folder {text.strip()} is there already" if taken else None)

    proposed = answers.name or project_name(_stem(answers))
    return replace(answers, name=type_text("Name of the project:", proposed, problem))


def _stem(answers: Answers) -> str:
    last = answers.where.rstrip("/").replace("\\", "/").rpartition("/")[2].partition("?")[0]
    stem = last.partition(".")[0].partition(":")[0]
    return f"{stem} server" if stem else "notes"


def _ask_description(answers: Answers) -> Answers:
    text = type_text(
        "What is it for (a sentence, may be empty)?", answers.description, lambda _: None
    )
    return replace(answers, description=text)


def _ask_transport(answers: Answers) -> Answers:
    texts = {"stdio": "stdio: the client starts it", "http": "http: it runs by itself"}
    options: list[tuple[Any, str]] = [(one, texts[one]) for one in TRANSPORTS]
    chosen = choose("How do clients reach it?", options, answers.transport)
    return replace(answers, transport=chosen, auth="none" if chosen == "stdio" else answers.auth)


def _ask_auth(answers: Answers) -> Answers | None:
    if answers.transport == "stdio":
        return None
    options: list[tuple[Any, str]] = [(one, _AUTH_TEXTS[one]) for one in AUTHS]
    return replace(answers, auth=choose("Who may connect?", options, answers.auth))


def _ask_features(answers: Answers) -> Answers:
    def parts(text: str) -> list[str]:
        return [part for part in text.replace(",", " ").split() if part]

    def problem(text: str) -> str | None:
        wrong = [p for p in parts(text) if not any(f.startswith(p) for f in FEATURES)]
        return f"{wrong[0]!r} is none of {', '.join(FEATURES)}" if wrong else None

    text = type_text(
        f"Features ({', '.join(FEATURES)}; empty for none):",
        " ".join(answers.features),
        problem,
        completer=WordCompleter(list(FEATURES)),
    )
    chosen = [next(f for f in FEATURES if f.startswith(p)) for p in parts(text)]
    return replace(answers, features=tuple(dict.fromkeys(chosen)))


def _confirm(answers: Answers, folder: Path | None) -> Answers:
    features = ", ".join(answers.features) or "no features"
    made = f"{answers.kind} {answers.where}".strip()
    print(f"{answers.name}: from {made}, {answers.transport}, auth {answers.auth}, {features}.")
    place = folder or Path(answers.name)
    if not choose(f"Make it in {place}?", [(True, "yes"), (False, "no, end here")], True):
        raise KeyboardInterrupt
    return answers
