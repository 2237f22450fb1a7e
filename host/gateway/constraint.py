"""A grant's constraint: the typed matchers of policy, held against the arguments of a call."""

from pydantic import ValidationError

from host.domain.errors import AccessError
from host.domain.jsonrpc import Json
from host.policy.answer import Answer, Lean
from host.policy.argument import ArgumentMatch
from host.policy.attempt import Attempt
from host.policy.document import MatchConfig
from host.policy.facts import Limited, Need, gather_facts
from host.policy.labels import LabelTable
from host.policy.rule import Matching, compile_match


def compile_matchers(matchers: Json) -> Matching:
    """Compile what a grant says about arguments: those that it does not name must be absent.

    Raises:
        AccessError: They are none.
    """
    try:
        config = MatchConfig.model_validate({"arguments": matchers, "only_arguments": True})
        # A grant loosens: it has to hold for every value that it is about.
        return compile_match(config, Lean.LOOSEN, folder=None)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _unusable(f"{where}: {first['msg']}") from None
    except ValueError as error:
        raise _unusable(str(error)) from None


def check_matchers(matchers: Json) -> None:
    """Raise AccessError where a grant's matchers cannot be used."""
    compile_matchers(matchers)


def _unusable(text: str) -> AccessError:
    return AccessError(
        f"The constraint cannot be used: {text}.",
        next_step='Write it like a rule\'s arguments: {"/path": {"path": {"inside": "~/notes"}}}.',
    )


class _Asked:
    """What a grant asks about a call."""

    limited: tuple[Limited, ...] = ()

    def __init__(self, arguments: tuple[ArgumentMatch, ...]) -> None:
        self.needs: tuple[Need, ...] = tuple(one.need for one in arguments)
        self.folders = tuple(dict.fromkeys(folder for one in arguments for folder in one.folders))


def matching_holds(matching: Matching, attempt: Attempt, table: LabelTable) -> bool:
    """Whether a compiled constraint surely holds for a call."""
    facts = gather_facts(attempt, _Asked(matching.arguments), table=table, policy="")
    return not facts.problems and matching.answer(facts) is Answer.YES
