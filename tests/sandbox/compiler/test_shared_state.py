"""The fingerprint of what plugins share tells of a table that somebody wrote into."""

# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false
# Why: the tables are private names of the library.

import _strptime
import dataclasses
import re
import textwrap
import urllib.parse
from typing import Any

import pytest

from tests.sandbox.compiler.shared_state import fingerprint

TABLES: dict[str, Any] = {
    "re": re._special_chars_map,
    "textwrap": textwrap.TextWrapper.unicode_whitespace_trans,
    "urllib.parse": urllib.parse.uses_netloc,
    "dataclasses": dataclasses._hash_action,
    "_strptime": _strptime._TimeRE_cache,
}


@pytest.mark.parametrize("module", TABLES)
def test_a_table_of_the_library_that_was_written_into_is_told(module: str):
    before = fingerprint()
    _mark(TABLES[module])
    changed = [name for name, seen in fingerprint().items() if before.get(name) != seen]
    _clean(TABLES[module])
    assert len(changed) == 1
    assert module in changed[0]
    assert fingerprint() == before


def _mark(table: Any) -> None:
    if isinstance(table, dict):
        table["mark"] = "mark"
    else:
        table.append("mark")


def _clean(table: Any) -> None:
    assert table.pop("mark" if isinstance(table, dict) else -1) == "mark"
