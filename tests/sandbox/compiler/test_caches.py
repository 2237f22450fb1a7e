"""The library's caches take plain values from plugins, whatever those say of themselves."""

import re
import typing
from datetime import datetime
from fractions import Fraction

from host.sandbox.compiler import compile_plugin

POSER = """
class Poser(int):
    def __hash__(self): return hash(self.real)
    def __eq__(self, other): return True
class Text(str):
    def __hash__(self): return hash("%Y|%j")
    def __eq__(self, other): return True
"""


def test_a_flag_made_of_a_plugins_number_holds_a_plain_one():
    compile_plugin(f"{POSER}import re\nre.RegexFlag(Poser(1 << 21))", name="one").load()
    assert type(re.RegexFlag(1 << 21).value) is int


def test_a_format_of_a_plugin_is_not_found_in_place_of_another():
    source = f"{POSER}from datetime import datetime\ndatetime.strptime('05', Text('%H'))"
    compile_plugin(source, name="one").load()
    assert datetime.strptime("2026|032", "%Y|%j").month == 2  # noqa: DTZ007  # no clock is asked


def test_a_plugin_begins_with_no_annotations_of_another():
    source = (
        "from typing import List\nclass E:\n    def __call__(self): pass\n"
        "    def __hash__(self): return hash(bytearray)\n    def __eq__(self, o): return True\n"
        "List[E()]\n"
    )
    compile_plugin(source, name="one").load()
    found = compile_plugin("from typing import List\nkind = List[bytearray]", name="two").load()
    assert typing.get_args(found["kind"]) == (bytearray,)


def test_a_fraction_is_hashed_by_its_value():
    source = f"{POSER}from fractions import Fraction\nhash(Fraction(Poser(3), 7))"
    compile_plugin(source, name="one").load()
    assert hash(Fraction(3, 7)) == hash(Fraction(6, 14))


def test_the_host_can_still_empty_the_caches_of_patterns():
    compile_plugin("import re\nre.sub('(a)', r'\\1', '')", name="one").load()
    re.purge()
    assert re.sub("(a)", r"<\1>", "a") == "<a>"
