"""Questions in a terminal: arrow keys, a check while typing, and a way back."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.shortcuts import choice
from prompt_toolkit.validation import ValidationError, Validator
from typing_extensions import override

if TYPE_CHECKING:
    from prompt_toolkit.document import Document

_BACK = "Shift-Tab goes back, Ctrl-C ends without writing anything"
T = TypeVar("T")


class _Back(BaseException):
    """The person wants the question before this one."""


def ask_in_turn(known: T, steps: Sequence[Callable[[T], T | None]]) -> T:
    """Ask one question after another; Shift-Tab asks the one before again.

    Args:
        known: The answers so far.
        steps: Each asks one question and returns the answers with its own, or None where it has
            nothing to ask.

    Raises:
        KeyboardInterrupt: The person ended it.
    """
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


def choose(message: str, options: list[tuple[Any, str]], default: object) -> Any:  # noqa: ANN401 - the chosen value
    """Ask for one of some values, each with the text that is shown for it."""
    keys = _keys()

    @keys.add("c-d", eager=True)
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError, style="class:exiting")

    return choice(
        message,
        options=options,
        default=default,
        key_bindings=keys,
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


def type_text(
    message: str,
    default: str,
    problem: Callable[[str], str | None],
    *,
    completer: WordCompleter | None = None,
) -> str:
    """Ask for a text.

    Args:
        message: The question.
        default: What stands there to be edited.
        problem: Says what is wrong with a text, None if nothing is; asked while typing.
        completer: Words to complete with Tab.
    """
    session: PromptSession[str] = PromptSession(key_bindings=_keys(), completer=completer)
    return session.prompt(
        f"{message} ",
        default=default,
        validator=_Check(problem),
        validate_while_typing=True,
        bottom_toolbar=f" Enter. {_BACK}. ",
    ).strip()
