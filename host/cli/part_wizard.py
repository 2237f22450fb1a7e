"""The questions of `host new-plugin`, `host new-agent` and `host new-policy`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from generator.part import BASES, AgentSpec, PluginSpec, PolicySpec, check_pattern
from host.cli.question import ask_in_turn, choose, type_text
from host.config.names import check_name, suggest_name

Spec = TypeVar("Spec", PluginSpec, AgentSpec, PolicySpec)
_YES_NO: list[tuple[Any, str]] = [(False, "no"), (True, "yes")]


def ask_part(spec: Spec, taken: Callable[[str], str | None]) -> Spec:
    """Ask for a plugin, an agent or a policy, beginning with what is known already.

    Args:
        spec: What flags said; it is the default of each question.
        taken: Says what is in the way of a name, None if nothing is.

    Raises:
        KeyboardInterrupt: The person ended it.
    """

    def name(spec: Spec) -> Spec:
        def problem(text: str) -> str | None:
            if check_name(text.strip()):
                return f"No name: a-z, 0-9, '-', '_'; try {suggest_name(text)!r}"
            return taken(text.strip())

        return replace(spec, name=type_text("Its name:", spec.name, problem))

    def description(spec: Spec) -> Spec:
        text = type_text(
            "What is it for (a sentence, may be empty)?", spec.description, lambda _: None
        )
        return replace(spec, description=text)

    return ask_in_turn(spec, [name, description, *_steps_of(spec)])


def _steps_of(spec: Any) -> list[Callable[[Any], Any]]:  # noqa: ANN401 - one of the three
    if isinstance(spec, PluginSpec):
        return [_list_of("calls", "Tools that it may call (empty for none):"), _ask_state]
    if isinstance(spec, AgentSpec):
        return [_ask_model, _list_of("tools", "Its tools, patterns or whole servers:"), _ask_memory]
    return [
        _ask_base,
        _list_of("allow", "Tools that run unasked (empty for none):"),
        _list_of("ask", "Tools that are asked about each time (empty for none):"),
        _list_of("deny", "Tools that never run (empty for none):"),
    ]


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _list_of(field: str, message: str) -> Callable[[Any], Any]:
    """Return a question for names or patterns of tools."""

    def problem(text: str) -> str | None:
        return next((said for word in _words(text) if (said := check_pattern(word))), None)

    def ask(spec: Any) -> Any:  # noqa: ANN401 - one of the three
        text = type_text(message, " ".join(getattr(spec, field)), problem)
        return replace(spec, **{field: _words(text)})

    return ask


def _ask_state(spec: PluginSpec) -> PluginSpec:
    return replace(spec, state=choose("Does it keep values between calls?", _YES_NO, spec.state))


def _ask_model(spec: AgentSpec) -> AgentSpec:
    def problem(text: str) -> str | None:
        return None if text.strip() else "As provider:name, or a name of models.yaml"

    return replace(spec, model=type_text("Which model?", spec.model, problem))


def _ask_memory(spec: AgentSpec) -> AgentSpec:
    kept = choose("Does it remember beyond one talk?", _YES_NO, spec.long_term)
    return replace(spec, long_term=kept)


def _ask_base(spec: PolicySpec) -> PolicySpec:
    options: list[tuple[Any, str]] = [(base, base) for base in BASES]
    return replace(spec, base=choose("Which shipped policy does it build on?", options, spec.base))
