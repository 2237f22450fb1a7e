"""The questions of `host new-server`: arrow keys, a check while typing, and a way back."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.shortcuts import choice
from prompt_toolkit.validation import ValidationError, Validator
from typing_extensions import override

from generator.answers import EXAMPLES, KINDS, Answers, Kind, name_problem
from generator.naming import project_name
from generator.spec import AUTHS, FEATURES, TRANSPORTS

if TYPE_CHECKING:
    from prompt_toolkit.document import Document

KIND_TEXTS: dict[Kind, str] = {
    "blank": "an idea: three example tools to replace",
    "openapi": "an OpenAPI document: a tool for each operation",
    "python": "a Python module: a tool for each function",
    "cli": "a command-line program: a tool for each subcommand",
    "database": "a database: a reading tool for each table",
    "curl": "a curl command: one tool",
}
_AUTH_TEXTS = {"none": "none", "bearer": "one bearer token", "oauth": "OAuth 2.1"}
_BACK = "Shift-Tab goes back, Ctrl-C ends without writing anything"


class _Back(BaseException):
    """The person wants the question before this one."""


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
        lambda answers: _ask_name(answers, folder),
        _ask_description,
        _ask_transport,
        _ask_auth,
        _ask_features,
        lambda answers: _confirm(answers, folder),
    ]
    answers, number = known, 0
    asked: list[int] = []
    while number < len(steps):
        try:
            given = steps[number](answers)
        except _Back:
            number = asked.pop() if asked else number
            continue
        if given is not None:
            asked.append(number)
            answers = given
        number += 1
    return answers


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("s-tab", eager=True)
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=_Back, style="class:aborting")

    return keys


def _choose(message: str, options: list[tuple[Any, str]], default: object) -> Any:  # noqa: ANN401 - the chosen value
    return choice(
        message,
        options=options,
        default=default,
        key_bindings=_keys(),
        bottom_toolbar=f" Up and Down, Enter. {_BACK}. ",
    )


class _Check(Validator):
    def __init__(self, problem: Callable[[str], str | None]) -> None:
        self._problem = problem

    @override
    def validate(self, document: "Document") -> None:
        problem = self._problem(document.text)
        if problem:
            raise ValidationError(len(document.text), problem)


def _type(
    message: str,
    default: str,
    problem: Callable[[str], str | None],
    *,
    completer: WordCompleter | None = None,
) -> str:
    session: PromptSession[str] = PromptSession(key_bindings=_keys(), completer=completer)
    return session.prompt(
        f"{message} ",
        default=default,
        validator=_Check(problem),
        validate_while_typing=True,
        bottom_toolbar=f" Enter. {_BACK}. ",
    ).strip()


def _ask_kind(answers: Answers) -> Answers:
    options: list[tuple[Any, str]] = [(kind, KIND_TEXTS[kind]) for kind in KINDS]
    return replace(answers, kind=_choose("What is the server made from?", options, answers.kind))


def _ask_where(answers: Answers) -> Answers | None:
    if answers.kind == "blank":
        return None

    def problem(text: str) -> str | None:
        if not text.strip():
            return f"For example: {EXAMPLES[answers.kind]}"
        is_file = answers.kind == "openapi" and "://" not in text
        if is_file and not Path(text).expanduser().is_file():
            return f"There is no file {text}"
        return None

    return replace(answers, where=_type(f"Which {answers.kind}?", answers.where, problem))


def _ask_name(answers: Answers, folder: Path | None) -> Answers:
    def problem(text: str) -> str | None:
        found = name_problem(text.strip())
        taken = folder is None and Path(text.strip() or "-").exists()
        return found or (f"A folder {text.strip()} is there already" if taken else None)

    proposed = answers.name or project_name(_stem(answers))
    return replace(answers, name=_type("Name of the project:", proposed, problem))


def _stem(answers: Answers) -> str:
    last = answers.where.rstrip("/").replace("\\", "/").rpartition("/")[2].partition("?")[0]
    stem = last.partition(".")[0].partition(":")[0]
    return f"{stem} server" if stem else "notes"


def _ask_description(answers: Answers) -> Answers:
    text = _type("What is it for (a sentence, may be empty)?", answers.description, lambda _: None)
    return replace(answers, description=text)


def _ask_transport(answers: Answers) -> Answers:
    texts = {"stdio": "stdio: the client starts it", "http": "http: it runs by itself"}
    options: list[tuple[Any, str]] = [(one, texts[one]) for one in TRANSPORTS]
    chosen = _choose("How do clients reach it?", options, answers.transport)
    return replace(answers, transport=chosen, auth="none" if chosen == "stdio" else answers.auth)


def _ask_auth(answers: Answers) -> Answers | None:
    if answers.transport == "stdio":
        return None
    options: list[tuple[Any, str]] = [(one, _AUTH_TEXTS[one]) for one in AUTHS]
    return replace(answers, auth=_choose("Who may connect?", options, answers.auth))


def _ask_features(answers: Answers) -> Answers:
    def parts(text: str) -> list[str]:
        return [part for part in text.replace(",", " ").split() if part]

    def problem(text: str) -> str | None:
        wrong = [p for p in parts(text) if not any(f.startswith(p) for f in FEATURES)]
        return f"{wrong[0]!r} is none of {', '.join(FEATURES)}" if wrong else None

    text = _type(
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
    if not _choose(f"Make it in {place}?", [(True, "yes"), (False, "no, end here")], True):
        raise KeyboardInterrupt
    return answers
