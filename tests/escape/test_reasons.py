"""Each attempt fails because of a rule that is there for it, and not by an accident of its code."""

import traceback

import pytest

from host.domain.errors import PluginRejectedError
from host.sandbox.compiler import compile_plugin
from tests.escape.attempt import Attempt, attempts

EXPLAINED = {
    "builtins/vars-none": "there are no local tables to be had without an argument",
    "builtins/str-decode-codec": "text codecs only: CPython's own rule for str and bytes methods",
    "classes/abcmeta-call": "the stand-in for ABCMeta is no class and has no call",
    "enums/functional-on-member-class": "CPython: an enumeration with members cannot be extended",
    "enums/enum-members-write": "CPython: the members are a read-only view",
    "gadgets/namedtuple-injection": "names are checked before any class is made",
    "shared/property-initialised-by-subclass-of-two": "as above",
    "shared/urlsplit-cache": "what plugins hold is a function of the facade, without the cache",
    "shared/cache-clear": "as above",
    "shared/type-alias-copy": "CPython: `Type[...]` cannot be called",
    "gadgets/hashlib-algorithms": "the shared set is handed out as a frozen copy",
    "graph/class-dict-descriptor": "a class's table shows what the class statement says, no more",
    "gadgets/singledispatchmethod-dispatcher": "the class's table holds our own, which has none",
    "graph/new-of-type": "`C.__class__` is the stand-in of type, which makes no classes",
}
"""Attempts that no guard of ours has to stop, and what does."""


def reason(attempt: Attempt) -> str:
    """Say what stopped an attempt: the compiler, a guard, a facade, or something else."""
    try:
        plugin = compile_plugin(attempt.source, name="attempt")
    except PluginRejectedError:
        return "rejected"
    taken: list[object] = []
    namespace = plugin.prepare(extra_builtins={"steal": taken.append, "report": taken.append})
    try:
        namespace.run(plugin.code)
    except Exception as error:  # noqa: BLE001 - whatever an attack ends with
        if "'Facade' object has no attribute" in str(error):
            return "not among a facade's names"
        if "positional sub-pattern" in str(error):
            return "no such field to match by position"
        last = traceback.extract_tb(error.__traceback__)[-1].filename
        return "guarded" if "host/sandbox/compiler/" in last else f"{type(error).__name__}: {error}"
    return "ran and got nothing"


@pytest.mark.parametrize("attempt", attempts(), ids=str)
def test_attempt_is_stopped_by_a_rule_or_gets_nothing(attempt: Attempt):
    found = reason(attempt)
    expected = {"rejected", "guarded", "not among a facade's names", "ran and got nothing"}
    expected |= {"no such field to match by position"}
    assert found in expected or str(attempt) in EXPLAINED, found


def test_the_explained_attempts_are_there_and_need_their_explanation():
    by_name = {str(attempt): attempt for attempt in attempts()}
    for name in EXPLAINED:
        assert ": " in reason(by_name[name]), f"{name} is stopped by a rule; it needs no words"
