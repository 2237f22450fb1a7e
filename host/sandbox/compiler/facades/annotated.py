"""`Annotated` for plugins: for annotations only.

The library's can be called, and marks what the call returns (`__orig_class__`), whatever that is;
and as a base class it stands for whatever is in it.
"""

# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUntypedBaseClass=false, reportGeneralTypeIssues=false
# pyright: reportUnknownArgumentType=false, reportCallIssue=false
# Why: the alias's class is a private one of the library.

import typing
from typing import Any, NoReturn

_Alias: Any = type(typing.Annotated[int, 0])


class _Note(_Alias, _root=True):
    """What `Annotated[X, ...]` is."""

    def copy_with(self, params: Any) -> Any:
        """Return the same with another X, which may be a call's way in as well."""
        return _Note(params[0], self.__metadata__)

    def __call__(self, *_: object, **__: object) -> NoReturn:
        message = "Annotated[...] cannot be called. Call the class itself."
        raise TypeError(message)

    def __mro_entries__(self, _: object) -> NoReturn:
        message = "Annotated[...] cannot be a base class. Name the class itself."
        raise TypeError(message)


_Note.__module__ = "typing"


class Annotated:
    """Adds notes to a type: `Annotated[int, "metres"]`."""

    __slots__ = ()

    def __new__(cls) -> NoReturn:
        """Refuse, as the library's does."""
        message = "Type Annotated cannot be instantiated."
        raise TypeError(message)

    def __class_getitem__(cls, params: Any) -> Any:
        made: Any = typing.Annotated[params]
        return _Note(made.__origin__, made.__metadata__)
