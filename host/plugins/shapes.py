"""How hooks, evaluators and rules are called, each with what it asks for and what it returns.

A function gets the members that its parameters name, so it asks for no more than it needs.
Workflows and evaluations call hooks and evaluators in these shapes, policies call rules.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, cast

from host.domain.errors import SandboxError
from host.domain.names import nearest_names
from host.domain.protocol import list_member, object_member
from host.policy.expression import VARIABLES
from host.sandbox.broker import JSON
from host.sandbox.pool import DeclaredFunction

Kind = Literal["hook", "evaluator", "rule"]

STAGES = ("before", "after", "error")
"""Moments of a step at which a hook is called."""

MEMBERS: Mapping[str, tuple[str, ...]] = {
    "hook": ("stage", "step", "run", "input", "output", "error"),
    "evaluator": ("output", "input", "expected", "context"),
    "rule": VARIABLES,
}
"""What a function of each kind can have parameters for; a missing member is None."""

WHOLE: Mapping[str, str] = {"hook": "event", "evaluator": "case", "rule": "call"}
"""The parameter that gets all members as one object."""


@dataclass(frozen=True, slots=True)
class Score:
    """What an evaluator says of an output.

    Attributes:
        value: From 0 to 1.
        passed: Whether it is good enough.
        reason: Why, in words.
    """

    value: float
    passed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What a hook says of a step.

    Attributes:
        changed: Whether `value` takes the place of the step's input (before) or output (after).
        value: The new value.
        stop: Why the step must not go on; None if it may.
    """

    changed: bool = False
    value: JSON = None
    stop: str | None = None


def arguments_for(function: DeclaredFunction, members: Mapping[str, Any]) -> dict[str, JSON]:
    """Return what a function is called with: the members that its parameters name.

    Raises:
        SandboxError: It needs something that there is not.
    """
    kind, values = function.kind, {key: _plain(value) for key, value in members.items()}
    known = {name: values.get(name) for name in MEMBERS[kind]}
    known[WHOLE[kind]] = values
    if function.parameters.get("additionalProperties") is not False:
        return known  # it takes `**everything`
    problem = shape_problem(function)
    if problem:
        raise SandboxError(problem)
    wanted = object_member(function.parameters, "properties")
    return {name: known[name] for name in wanted if name in known}


def shape_problem(function: DeclaredFunction) -> str | None:
    """Return why a hook, an evaluator or a rule cannot be called; None if it can."""
    known = (*MEMBERS[function.kind], WHOLE[function.kind])
    for name in list_member(function.parameters, "required"):
        if name not in known:
            near = nearest_names(name, known, most=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
            return (
                f"The {function.kind} {function.name} asks for {name!r}, which is not known; {hint}"
            )
    stages = function.options.get("target", STAGES[0])
    if function.kind == "hook" and not set(_listed(stages)) <= set(STAGES):
        return (
            f"The hook {function.name} names the stage {stages!r}; there are {', '.join(STAGES)}."
        )
    return None


def stages_of(function: DeclaredFunction) -> tuple[str, ...]:
    """Return at which moments a hook is called: `@hook("after")`; plain `@hook` means before."""
    return tuple(_listed(function.options.get("target", STAGES[0])))


def read_verdict(value: JSON) -> bool:
    """Return what a rule returned.

    Raises:
        SandboxError: It is neither true nor false.
    """
    if not isinstance(value, bool):
        raise SandboxError(f"It returned {_shown(value)}; a rule returns True or False.")
    return value


def read_score(value: JSON) -> Score:
    """Return what an evaluator returned: true or false, a number from 0 to 1, or an object.

    Raises:
        SandboxError: It is none of these.
    """
    match value:
        case bool():
            return Score(float(value), value)
        case int() | float():
            return Score(_within(value), value >= 0.5)
        case {"score": bool() | int() | float() as score, **rest} if rest.keys() <= _SCORE:
            reason, passed = rest.get("reason", ""), rest.get("passed", score >= 0.5)
            if isinstance(reason, str) and isinstance(passed, bool):
                return Score(_within(score), passed, reason)
        case _:
            pass
    raise SandboxError(
        f"An evaluator returned {_shown(value)}.",
        next_step='Return True, a number from 0 to 1, or {"score": 0.5, "reason": "…"}.',
    )


_SCORE = {"reason", "passed"}


def read_hook_answer(value: JSON) -> HookAnswer:
    """Return what a hook returned: nothing, `{"value": …}` or `{"stop": "why"}`.

    Raises:
        SandboxError: It is none of these.
    """
    match value:
        case None:
            return HookAnswer()
        case {"value": changed, **rest} if not rest:
            return HookAnswer(changed=True, value=changed)
        case {"stop": str(why), **rest} if not rest and why:
            return HookAnswer(stop=why)
        case _:
            raise SandboxError(
                f"A hook returned {_shown(value)}.",
                next_step='Return None, {"value": …} or {"stop": "why"}.',
            )


def read_answer(function: DeclaredFunction, value: JSON) -> JSON:
    """Return what a hook, an evaluator or a rule said, as one JSON value for a person.

    Raises:
        SandboxError: It returned what its kind does not.
    """
    if function.kind == "rule":
        return read_verdict(value)
    return asdict(read_score(value) if function.kind == "evaluator" else read_hook_answer(value))


def _within(score: float) -> float:
    if not 0 <= score <= 1 or math.isnan(score):
        raise SandboxError(f"An evaluator returned the score {score}; it is from 0 to 1.")
    return float(score)


def _listed(value: JSON) -> Sequence[str]:
    several = cast("list[object]", value) if isinstance(value, list) else [value]
    return [str(one) for one in several]


def _plain(value: Any) -> JSON:  # noqa: ANN401 - JSON, and times
    return value.isoformat() if isinstance(value, datetime) else value


def _shown(value: JSON) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
