"""The matcher of provenance: where the decisive values inside an argument were seen."""

from collections.abc import Callable, Sequence

from host.policy.answer import Answer
from host.policy.argument_document import OriginConfig, ProvenanceConfig
from host.policy.facts import Facts
from host.policy.pointer import Located
from host.policy.provenance import TracedValue

UNHEARD = "the host does not hear what the user of this client says, so labels decide"
"""Why nobody can tell where a value came from."""


def match_origins(config: ProvenanceConfig) -> Callable[[Facts, Located], Answer]:
    """Return what says whether the values inside an argument are from where a rule wants them.

    Where the host does not hear the user, it cannot tell.
    """

    def check(facts: Facts, one: Located) -> Answer:
        traced = facts.traced(one)
        if traced is None:
            return Answer.UNKNOWN
        some, every = config.some, config.every
        holds = (some is None or any(_fits(value, some) for value in traced)) and (
            every is None or all(_fits(value, every) for value in traced)
        )
        return Answer.YES if holds else Answer.NO

    return check


def shown_origins(traced: Sequence[TracedValue] | None) -> str:
    """Return where values were seen, for explanations; those that are not the user's first."""
    if traced is None:
        return UNHEARD
    if not traced:
        return "nothing in it decides anything"
    order = sorted(traced, key=lambda value: "user" in value.origins)
    said = [f"{one.text!a} from {' and '.join(sorted(one.origins))}" for one in order[:5]]
    return ", ".join(said) + (", …" if len(order) > 5 else "")


def _fits(value: TracedValue, wanted: Sequence[OriginConfig]) -> bool:
    return any(
        (one.kinds is None or value.kind in one.kinds)
        and (one.any is None or not value.origins.isdisjoint(one.any))
        and value.origins.issuperset(one.all)
        and value.origins.isdisjoint(one.none)
        for one in wanted
    )
