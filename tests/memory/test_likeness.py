"""Which texts say the same, so that one may stand for the other."""

import pytest

from host.memory.likeness import says_same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann manages Bob", "Bob manages Ann"),
        ("Ann owes Bob 5 euros", "Bob owes Ann 5 euros"),
        ("Paris is north of Lyon", "Lyon is north of Paris"),
        ("Lyon is in France", "France is in Lyon"),
        ("Call Bob before Ann", "Call Ann before Bob"),
        ("The train goes from Paris to Lyon", "The train goes to Paris from Lyon"),
        ("The train goes from Paris to Lyon", "The train goes from Lyon to Paris"),
        ("The key is in the box", "The key is on the box"),
        ("Bob goes if Ann comes", "Ann comes if Bob goes"),
        ("The old server replaces the new server", "The new server replaces the old server"),
        ("Leave before the meeting", "Leave after the meeting"),
    ],
)
@pytest.mark.parametrize("cosine", [None, 0.999])
def test_the_same_words_in_another_order_say_something_else(
    one: str, other: str, cosine: float | None
):
    assert not says_same(one, other, least=0.8, cosine=cosine)
    assert not says_same(other, one, least=0.8, cosine=cosine)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann drinks Assam tea in the morning.", "In the morning, Ann drinks Assam tea!"),
        ("Ann prefers green tea in the morning.", "Ann prefers green tea in a morning."),
        ("The key is in the box", "the key is in this box"),
        ("Deploys go out on Fridays", "The deploys go out on Fridays"),
        ("Ann drinks tea", "ann drinks tea."),
        ("", ""),
    ],
)
def test_other_empty_words_or_a_part_moved_to_the_other_end_say_the_same(one: str, other: str):
    assert says_same(one, other, least=0.8)
    assert says_same(other, one, least=0.8)
