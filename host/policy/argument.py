"""Typed matchers of arguments: what each says about a value, which may be that it cannot tell."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from host.policy.answer import Answer, Lean, combine
from host.policy.argument_document import (
    ArgumentConfig,
    LengthConfig,
    PathConfig,
    RangeConfig,
    UrlConfig,
)
from host.policy.condition import Condition
from host.policy.facts import Facts, Need
from host.policy.fold import fold
from host.policy.json_schema import parse_schema
from host.policy.origin import match_origins, shown_origins
from host.policy.path import is_absolute
from host.policy.pattern import parse_names
from host.policy.pointer import DEEP, EACH, Json, Located, Pointer, elements, parse_pointer
from host.policy.regex import parse_regex
from host.policy.url import Url

_OF_THE_WHOLE = frozenset({"type", "length", "json_schema", "provenance", "present"})
"""Fields that are about a list or an object as it is, and not about what is in it."""

Matcher = Callable[[Facts, Located], Answer]
"""Says whether one value of a call matches."""


@dataclass(frozen=True, slots=True)
class Demand:
    """An expression that an argument has to match, whatever else it has to be.

    Attributes:
        pointer: Where the argument is.
        text: The expression.
        whole: Whether the whole text has to match, or any part.
    """

    pointer: str
    text: str
    whole: bool


@dataclass(frozen=True, slots=True)
class ArgumentMatch:
    """A compiled argument: the condition, and what has to be gathered for it."""

    condition: Condition
    need: Need
    folders: tuple[str, ...] = ()
    demand: Demand | None = None


def compile_argument(
    text: str, config: ArgumentConfig, lean: Lean, *, folder: str | None = None
) -> ArgumentMatch:
    """Compile what a rule says about an argument.

    Args:
        text: The argument's pointer.
        config: What it has to be.
        lean: What the rule's holding leads to.
        folder: What relative folders in the rule are relative to; None allows none.
    """
    pointer = parse_pointer(text)
    folders = _absolute(config.path, folder)
    matchers = _matchers(config, folders, lean)
    need = Need(pointer, path=config.path is not None, url=config.url is not None)
    absent = config.present is False
    # At any depth an object's members are asked about one by one, and not the object again.
    parts = pointer.parts[-1:] == (DEEP,) and not config.model_fields_set & _OF_THE_WHOLE
    match = matchers[0] if len(matchers) == 1 else partial(_all, matchers)

    def check(facts: Facts) -> Answer:
        found = facts.values[text]
        if absent:
            answer = Answer.NO if found.values else Answer.YES
        elif len(found.values) == 1:
            answer = match(facts, found.values[0])
        else:
            asked = (one for one in found.values if not (parts and _has_members(one)))
            answer = combine((match(facts, one) for one in asked), lean)
        if found.lookalike is None:
            return answer
        # A tool might take the look-alike for the argument itself.
        return max(answer, Answer.UNKNOWN) if lean is Lean.TIGHTEN else min(answer, Answer.UNKNOWN)

    def shown(facts: Facts) -> str:
        return _shown(facts, config, pointer)

    return ArgumentMatch(
        Condition(f"arguments {text}: {_said(config)}", check, shown),
        need,
        folders,
        _demand(text, config),
    )


def _demand(pointer: str, config: ArgumentConfig) -> Demand | None:
    if config.regex is not None:
        return Demand(pointer, config.regex, True)
    return None if config.search is None else Demand(pointer, config.search, False)


def only_arguments(pointers: tuple[str, ...]) -> Condition:
    """Return the condition that a call has no arguments but those that pointers begin with."""
    heads = {parse_pointer(text).parts[:1] for text in pointers}
    names = {head[0] for head in heads if head}
    anything = () in heads or bool(names & {EACH, DEEP})

    def check(facts: Facts) -> Answer:
        arguments = facts.attempt.arguments
        if anything or arguments is None:
            return Answer.YES
        fits = isinstance(arguments, dict) and names.issuperset(cast("dict[str, Json]", arguments))
        return Answer.YES if fits else Answer.NO

    return Condition("only_arguments", check)


def _absolute(config: PathConfig | None, folder: str | None) -> tuple[str, ...]:
    if config is None:
        return ()
    found: list[str] = []
    for text in config.inside:
        if not is_absolute(text) and folder is None:
            raise ValueError(f"The folder {text!r} has to begin with '/' or '~/'")
        found.append(text if is_absolute(text) else f"{folder}/{text}")
    return tuple(found)


def _matchers(config: ArgumentConfig, folders: tuple[str, ...], lean: Lean) -> list[Matcher]:
    found: list[Matcher] = []
    if config.type is not None:
        found.append(_type(config.type))
    if config.one_of is not None:
        found.append(_one_of(config.one_of, lean))
    if config.range is not None:
        found.append(_each(_range(config.range), lean))
    if config.length is not None:
        found.append(_length(config.length))
    for text, whole in ((config.regex, True), (config.search, False)):
        if text is not None:
            found.append(_each_and_joined(_regex(text, whole=whole), lean))
    if config.json_schema is not None:
        schema = parse_schema(config.json_schema)
        found.append(lambda _facts, one: schema.match(one.value))
    return found + _of_facts(config, folders, lean)


def _of_facts(config: ArgumentConfig, folders: tuple[str, ...], lean: Lean) -> list[Matcher]:
    found: list[Matcher] = []
    if config.provenance is not None:
        found.append(match_origins(config.provenance))
    if config.url is not None:
        found.append(_each(_url(config.url), lean))
    if config.path is not None:
        found.append(_each(_path(config.path, folders, lean), lean))
    return found


def _all(matchers: list[Matcher], facts: Facts, one: Located) -> Answer:
    answer = _YES
    for matcher in matchers:
        found = matcher(facts, one)
        if found is not _YES:
            if found is _NO:
                return found
            answer = found
    return answer


_YES, _UNKNOWN, _NO = Answer.YES, Answer.UNKNOWN, Answer.NO


def _yes(holds: bool) -> Answer:
    return Answer.YES if holds else Answer.NO


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _type(name: str) -> Matcher:
    def check(_facts: Facts, one: Located) -> Answer:
        value = one.value
        if name == "integer":
            return _yes(_is_number(value) and (isinstance(value, int) or value.is_integer()))
        if name == "number":
            return _yes(_is_number(value))
        return _yes(type(value) is _TYPES[name])

    return check


_TYPES = {
    "string": str,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def _has_members(one: Located) -> bool:
    """Whether a value is an object, or a list with objects in it."""
    return any(isinstance(part.value, dict) for part in elements(one))


def _each(match: Matcher, lean: Lean) -> Matcher:
    """Return a matcher that holds a list by its elements: all of them to loosen, any to tighten."""

    def check(facts: Facts, one: Located) -> Answer:
        if not isinstance(one.value, list):
            return match(facts, one)
        return combine((match(facts, part) for part in elements(one)), lean)

    return check


def _each_and_joined(match: Matcher, lean: Lean) -> Matcher:
    """As `_each`; a tool may put a list together to one text, as a command's words.

    Where that says something else than the elements do, nobody can tell.
    """
    each = _each(match, lean)

    def check(facts: Facts, one: Located) -> Answer:
        answer = each(facts, one)
        parts = list(elements(one)) if isinstance(one.value, list) else []
        if len(parts) < 2:
            return answer
        texts = [_text(part.value) for part in parts]
        joined = [match(facts, Located(one.place, by.join(texts))) for by in (" ", "")]
        if all(found is answer for found in joined):
            return answer
        return max(answer, _UNKNOWN) if lean is Lean.TIGHTEN else min(answer, _UNKNOWN)

    return check


def _one_of(options: tuple[Json, ...], lean: Lean) -> Matcher:
    exact = {_exact(option) for option in options}
    near = {fold(_text(option)) for option in options}

    def match(_facts: Facts, one: Located) -> Answer:
        if _exact(one.value) in exact:
            return Answer.YES
        if isinstance(one.value, dict):
            return Answer.UNKNOWN
        # "5" is not 5 and "Admin" not "admin", yet a tool may take them for it.
        return Answer.UNKNOWN if fold(_text(one.value)) in near else Answer.NO

    each = _each(match, lean)

    def check(facts: Facts, one: Located) -> Answer:
        # A list may be one of the options itself.
        return _YES if _exact(one.value) in exact else each(facts, one)

    return check


def _exact(value: Json) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else _exact(value)


def _range(config: RangeConfig) -> Matcher:
    def check(_facts: Facts, one: Located) -> Answer:
        if not _is_number(one.value):
            return Answer.UNKNOWN
        value = one.value
        outside = (
            (config.min is not None and value < config.min)
            or (config.max is not None and value > config.max)
            or (config.above is not None and value <= config.above)
            or (config.below is not None and value >= config.below)
        )
        return _yes(not outside)

    return check


def _length(config: LengthConfig) -> Matcher:
    def check(_facts: Facts, one: Located) -> Answer:
        value = one.value
        if not isinstance(value, str | list | dict):
            return Answer.UNKNOWN
        size = len(cast("str | list[Json]", value))
        most = size if config.max is None else config.max
        return _yes((config.min or 0) <= size <= most)

    return check


def _regex(text: str, *, whole: bool) -> Matcher:
    match = parse_regex(text, whole=whole).match

    def check(_facts: Facts, one: Located) -> Answer:
        value = one.value
        return match(value) if isinstance(value, str) else Answer.UNKNOWN

    return check


def _url(config: UrlConfig) -> Matcher:
    schemes = None if config.scheme is None else frozenset(config.scheme)
    hosts = None if config.host is None else parse_names(config.host)

    def check(facts: Facts, one: Located) -> Answer:
        url = facts.urls[one.place]
        if not isinstance(url, Url):
            return Answer.UNKNOWN
        return _yes(
            (schemes is None or url.scheme in schemes)
            and (hosts is None or hosts.match(url.host))
            and (config.port is None or url.port in config.port)
            and (config.address is None or url.address in config.address)
        )

    return check


def _path(config: PathConfig, folders: tuple[str, ...], lean: Lean) -> Matcher:
    def check(facts: Facts, one: Located) -> Answer:
        written = facts.writes and one.place not in facts.only_read
        if config.access is not None and (config.access == "write") is not written:
            return Answer.NO
        path = facts.paths[one.place]
        answers = [
            Answer.UNKNOWN if real is None else path.inside(real, lean)
            for real in (facts.folders[folder] for folder in folders)
        ]
        return max(answers)

    return check


def _said(config: ArgumentConfig) -> str:
    return json.dumps(config.model_dump(exclude_unset=True, by_alias=True), default=str)


def _shown(facts: Facts, config: ArgumentConfig, pointer: Pointer) -> str:
    found = facts.values[pointer.text]
    if found.lookalike is not None:
        return f"there is {found.lookalike!r}, which looks like a name in it"
    if not found.values:
        return "there is none"
    return "; ".join(_shown_value(facts, config, one) for one in found.values[:5])


def _shown_value(facts: Facts, config: ArgumentConfig, one: Located) -> str:
    if config.provenance is not None:
        return shown_origins(facts.traced(one))
    text = json.dumps(one.value, ensure_ascii=True)
    shown = f"it is {text if len(text) <= 80 else text[:80] + '…'}"
    path, url = facts.paths.get(one.place), facts.urls.get(one.place)
    if path is not None:
        shown += f", the path {path.problem or ' or '.join(path.places)}"
    if url is not None:
        shown += f", on host {url.host}" if isinstance(url, Url) else f", and {url}"
    return shown
