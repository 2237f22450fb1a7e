"""A dataclass whose fields only the type checker fixes, for what is made anew at every call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def fixed(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
    """Make a class a dataclass with slots that nobody may change, and pyright finds who does.

    `dataclass(frozen=True)` refuses it at run time as well, for which it sets each field by a call
    of `object.__setattr__`: a record of twenty fields takes four times as long to make.

    Args:
        kw_only: Whether its fields are given by name only.
    """
    return dataclass(slots=True, unsafe_hash=True, kw_only=kw_only)
