"""What library functions hand to a plugin's objects; and that they would tell of a lost mend."""

# pyright: reportPrivateUsage=false, reportUnknownLambdaType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# Why: mends of the compiler are switched off one at a time.

import _strptime
import re
import textwrap
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from host.sandbox.compiler import caches, catalog
from tests.sandbox.compiler.recording import KEPT, SHOWN, handed_over
from tests.sandbox.compiler.shared_state import fingerprint


def test_no_library_function_shows_its_tables_to_a_plugins_objects_or_keeps_one():
    before = fingerprint()
    assert handed_over() == []
    assert fingerprint() == before


def _raw(mended: Any) -> Any:
    """Return the library's function that a mend calls."""
    inside = [cell.cell_contents for cell in mended.__closure__]
    return next(item for item in inside if callable(item))


def _unsettled(patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    patch.setattr(owner, name, _raw(getattr(owner, name)))


def _escape_is_raw(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(catalog, "as_given", lambda module, value: value)
    _unsettled(patch, re, "escape")


def _untold(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(caches, "plain", lambda value: value)


MENDS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = {
    "patterns are plain": (_untold, "re", SHOWN),
    "texts are plain": (_untold, "textwrap", SHOWN),
    "parts of addresses are plain": (_untold, "urllib.parse", KEPT),
    "formats of dates are plain": (_untold, "time", KEPT),
    "spaces are looked up in a str": (
        lambda patch: _unsettled(patch, textwrap.TextWrapper, "_munge_whitespace"),
        "textwrap",
        SHOWN,
    ),
    "what is escaped is plain": (_escape_is_raw, "re", SHOWN),
    "delimiters are plain": (lambda patch: _unsettled(patch, re, "escape"), "string", SHOWN),
    "what is quoted is plain": (
        lambda patch: _unsettled(patch, urllib.parse, "quote_from_bytes"),
        "urllib.parse",
        KEPT,
    ),
}


@pytest.fixture
def emptied_afterwards() -> Iterator[None]:
    """Lets nothing that a plugin left behind without a mend stay in the library's caches."""
    yield
    re.purge()
    urllib.parse.clear_cache()
    getattr(_strptime, "_regex_cache").clear()  # noqa: B009  # a private name


@pytest.mark.usefixtures("emptied_afterwards")
@pytest.mark.parametrize("mend", MENDS)
def test_a_mend_that_is_switched_off_is_told_by_the_objects(
    mend: str, monkeypatch: pytest.MonkeyPatch
):
    switch_off, module, expected = MENDS[mend]
    switch_off(monkeypatch)
    assert expected in {one.what for one in handed_over([module])}
