from dataclasses import replace

import pytest

from host.domain.fixed import fixed


@fixed()
class Place:
    """Two fields, one with a default."""

    name: str
    floor: int = 0


@fixed(kw_only=True)
class Named:
    """One field, by name only."""

    name: str


def test_two_of_the_same_fields_are_equal_and_one_key():
    assert Place("attic", 3) == Place("attic", floor=3)
    assert {Place("attic"): 1}[Place("attic", 0)] == 1
    assert replace(Place("attic"), floor=4) == Place("attic", 4)


def test_fields_by_name_only_and_no_others_are_taken():
    with pytest.raises(TypeError):
        Named("attic")  # pyright: ignore[reportCallIssue] - that is what is refused
    with pytest.raises(AttributeError):
        object.__setattr__(Named(name="attic"), "floor", 1)
