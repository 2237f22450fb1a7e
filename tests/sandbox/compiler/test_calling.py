"""What a plugin gets by using what it can reach; and that this would show a mend that is gone."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false, reportAttributeAccessIssue=false
# Why: mends of the compiler are switched off one at a time.

import collections
import functools
import sys
from collections.abc import Callable
from typing import Any

import pytest

from host.sandbox.compiler import classes, guards, ownership, traces
from host.sandbox.compiler.facades import made_collections, made_functools
from host.sandbox.compiler.guards import Guards
from tests.sandbox.compiler.calling import got_by_calling
from tests.sandbox.compiler.shared_state import fingerprint


def test_nothing_outside_is_got_by_calling_what_can_be_reached():
    before = fingerprint()
    assert got_by_calling() == []
    assert fingerprint() == before


def _compares(self: Guards, found: Any, name: str) -> Any:
    if found in (str.format, str.format_map):  # as it was: by `==`
        return None
    return found


def _raw(_: Guards, value: Any, name: str) -> Any:
    return getattr(value, name)


class _Untold:
    def __get__(self, *_: object) -> str:
        return "told"


_NEWER = sys.version_info >= (3, 13)
MENDS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "fields are judged": (
        lambda patch: patch.setattr(ownership, "_may_match", lambda name: True),
        "frame",
    ),
    "descriptors are checked": (
        lambda patch: (
            patch.setitem(guards._SPECIAL, "__get__", _raw),
            patch.setattr(made_collections, "ChainMap", collections.ChainMap),
        )[0],
        "class builtins.type",
    ),
    "bases are listed": (
        lambda patch: (
            patch.setattr(classes, "may_extend", lambda base, ownership: True),
            patch.setitem(guards._SPECIAL, "__get__", _raw),
            patch.setattr(made_collections, "ChainMap", collections.ChainMap),
        )[0],
        "class builtins.type",
    ),
    "formatters are told by identity": (
        lambda patch: patch.setattr(Guards, "_formatter", _compares),
        "a raw format",
    ),
    "decorators copy no class": (
        lambda patch: patch.setattr(
            made_functools,
            "_caches",
            lambda _: {"lru_cache": functools.lru_cache, "cache": functools.cache},
        ),
        "a descriptor of all plugins",
    ),
    "no traceback is shown": (
        lambda patch: patch.setattr(traces, "without_trace", lambda details: details),
        "traceback",
    ),
    "the interpreter is told the name": (
        lambda patch: patch.setattr(guards, "_NAME", _Untold()),
        "a Sealed of the sandbox",
    ),
    "library properties take no class": (
        lambda patch: patch.setattr(made_collections, "ChainMap", collections.ChainMap),
        "class builtins.type",
    ),
}


STOPPED_BY_PYTHON = {"decorators copy no class", "library properties take no class"}
"""Of no effect from Python 3.13 on: class methods wrap no properties, flags' members are none."""


@pytest.mark.parametrize(
    "mend", [one for one in MENDS if not (_NEWER and one in STOPPED_BY_PYTHON)]
)
def test_a_mend_that_is_switched_off_is_noticed(mend: str, monkeypatch: pytest.MonkeyPatch):
    switch_off, expected = MENDS[mend]
    switch_off(monkeypatch)
    assert expected in {one.what for one in got_by_calling()}
