"""The run-time half of the policy: one `Guards` per plugin answers what syntax cannot tell."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import abc
import decimal
import textwrap
import types
import typing
from collections.abc import Callable
from functools import cached_property
from typing import Any, ForwardRef, cast

from host.sandbox.compiler.caches import on_plain
from host.sandbox.compiler.formatting import GuardedFormatter
from host.sandbox.compiler.kinds import visible
from host.sandbox.compiler.names import (
    METHODS_LATER,
    OWN_ONLY,
    REPLACING,
    TABLES,
    is_dunder,
    kind_of_read,
    kind_of_write,
)
from host.sandbox.compiler.ownership import PLAIN_DATA, Ownership
from host.sandbox.compiler.refusal import (
    as_plain_text,
    is_enum_table,
    is_of_group,
    named,
    refuse,
    self_checked,
    unshared,
)
from host.sandbox.compiler.registering import registrar

_missing: Any = object()
_missing_item: Any = object()
_RECORDS = frozenset({"_asdict", "_replace", "_fields", "_make", "_field_defaults"})
_ENUMS = frozenset({"_value_", "_name_", "_missing_", "_generate_next_value_"})
_OF_PATTERNS = (types.BuiltinMethodType, types.MethodDescriptorType)
_WRITABLE = (types.SimpleNamespace, BaseException, decimal.Context, textwrap.TextWrapper)
_ALIASES = (
    types.GenericAlias,
    *(kind for kind in type(typing.Sequence).__mro__ if kind.__name__ == "_BaseGenericAlias"),
)
"""What hands attribute reads on to the class, or to whatever else, that it was made from."""


class Guards:
    """Reads and writes attributes on behalf of one plugin.

    Args:
        ownership: Knows which classes, functions and objects are the plugin's own.
    """

    def __init__(self, ownership: Ownership) -> None:
        self.ownership = ownership
        self._sealed_kind = _sealed_kind(self)

    # Reading

    def read(self, value: Any, name: str, default: Any = _missing) -> Any:
        """Return `value.name`, as `getattr` does, or refuse."""
        if type(name) is not str:
            message = f"An attribute's name must be a plain str, not {type(name).__name__}."
            raise TypeError(message)
        kind = kind_of_read(name)
        if kind == "public":
            return getattr(value, name) if default is _missing else getattr(value, name, default)
        if kind == "refused":
            refuse(value, name)
        try:
            reader = _READERS[kind]
            return reader(self, value, name)
        except AttributeError:
            if default is _missing:
                raise
            return default

    def _read_gated(self, value: Any, name: str) -> Any:
        while issubclass(type(value), _ALIASES):
            value = value.__origin__  # `Sequence[int].register` is `Sequence.register`
        if isinstance(value, BaseException) and name == "obj":
            refuse(value, name)
        if name == "evaluate" and isinstance(value, ForwardRef):
            refuse(value, name)
        if name == "register" and isinstance(value, type) and not self.ownership.owns_class(value):
            refuse(value, name)
        found = getattr(value, name)
        if getattr(found, "__func__", None) is abc.ABCMeta.register:
            return registrar(self.ownership, found)
        if name in TABLES and not self.ownership.is_pure(type(value)):
            found = unshared(found)
        if name in REPLACING and issubclass(type(found), _OF_PATTERNS):
            return on_plain(found)
        return self._checked(value, name, found)

    def _checked(self, value: Any, name: str, found: Any) -> Any:
        """Replace what must not be held raw: formatters, and methods without their self check."""
        if name in ("format", "format_map"):
            return self._formatter(found, name)
        if not isinstance(found, types.FunctionType) or self.ownership.owns_function(found):
            return found
        holder = value.__thisclass__ if type(value) is super else value
        if isinstance(holder, type):
            return self_checked(cast("Callable[..., Any]", found), holder)
        if self.ownership.is_facade(value):
            return cast("Any", found)
        return refuse(value, name)

    def _formatter(self, found: Any, name: str) -> Any:
        kind = type(found)  # by identity: `==` would show the raw method to a plugin's `__eq__`
        if kind is types.BuiltinMethodType and isinstance(found.__self__, str):
            template = found.__self__
            return self._format(template) if name == "format" else self._format_map(template)
        if kind is types.MethodDescriptorType and found.__objclass__ is str:
            chosen = self._format if name == "format" else self._format_map
            return lambda text, *args, **kwargs: chosen(as_plain_text(text))(*args, **kwargs)
        return found

    @cached_property
    def formatter(self) -> GuardedFormatter:
        """Formats templates with this plugin's rights."""
        return GuardedFormatter(self.read)

    def _format(self, template: str) -> Callable[..., str]:
        def format(*args: Any, **kwargs: Any) -> str:  # the name that repr shows
            return self.formatter.format_text(template, args, kwargs)

        return format

    def _format_map(self, template: str) -> Callable[..., str]:
        def format_map(mapping: Any) -> str:
            return self.formatter.format_text(template, None, mapping)

        return format_map

    def _read_private(self, value: Any, name: str) -> Any:
        own = self.ownership
        if own.is_pure(type(value)) or own.owns_function(value):
            return getattr(value, name)
        if type(value) is types.SimpleNamespace and name in vars(value):
            return vars(value)[name]
        if name in _RECORDS and own.is_record(value):
            found = getattr(value, name)
            return unshared(found) if name == "_field_defaults" else found
        if name in _ENUMS and own.is_enum(value):
            return getattr(value, name)
        if own.owns_private(value, name):
            return getattr(value, name)
        return refuse(value, name)

    def _read_dunder(self, value: Any, name: str) -> Any:
        special = _SPECIAL.get(name)
        if special is not None:
            return special(self, value, name)
        if name in OWN_ONLY and not self.ownership.owns(value):
            refuse(value, name)
        return self._checked(value, name, getattr(value, name))

    def _class_of(self, value: Any, _: str) -> Any:
        return visible(type(value))

    def _dict_of(self, value: Any, name: str) -> Any:
        if self.ownership.is_pure(type(value)) or type(value) is types.SimpleNamespace:
            return vars(value)
        if self.ownership.owns_class(value):
            return self.ownership.table_of(value)
        if self.ownership.owns_function(value):
            names = [key for key in vars(value) if kind_of_read(key) != "refused"]
            found = {key: self.read(value, key, _missing_item) for key in names}
            return unshared({key: item for key, item in found.items() if item is not _missing_item})
        return refuse(value, name)

    def _bases_of(self, value: Any, name: str) -> Any:
        if not self.ownership.owns_class(value):
            refuse(value, name)
        found = type.__getattribute__(value, name)
        return visible(found) if name == "__base__" else tuple(visible(item) for item in found)

    def _subclasses_of(self, value: Any, name: str) -> Any:
        if not self.ownership.owns_class(value):
            refuse(value, name)
        return lambda: [visible(item) for item in type.__subclasses__(value)]

    def _initialiser(self, value: Any, name: str) -> Any:
        """Return `__init__`, for own objects only: it could start a shared property anew."""
        found = self._checked(value, name, getattr(value, name))
        held = value.__self__ if type(value) is super else value
        if self.ownership.owns_function(found):
            return found
        if not isinstance(held, type):
            return found if self.ownership.owns_class(type(held)) else refuse(value, name)

        def initialise(target: Any, /, *args: Any, **kwargs: Any) -> None:
            if not self.ownership.owns_class(type(target)):
                refuse(target, name)
            found(target, *args, **kwargs)

        return initialise

    def _maker(self, value: Any, name: str) -> Any:
        """Return `__new__`; a library's, written in Python, makes its own subclasses only."""
        found = getattr(value, name)
        if not isinstance(found, types.FunctionType) or self.ownership.owns_function(found):
            return found
        holder = value.__thisclass__ if type(value) is super else value
        if not isinstance(holder, type):
            refuse(value, name)

        def make(cls: Any, /, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(cls, type) or holder not in cls.__mro__:
                message = f"{named(cls)} is no subclass of {holder.__name__}."
                raise TypeError(message)
            return found(cls, *args, **kwargs)

        return make

    def maker_of_own(self, function: Any) -> Callable[..., Any]:
        """Return a class's `__new__` that gives own objects or plain data, and nothing shared.

        `Enum`, `C[int]()` and copying set attributes on whatever it gives them.
        """
        raw = function.__func__ if type(function) is staticmethod else function

        def new(cls: Any, /, *args: Any, **kwargs: Any) -> Any:
            made = raw(cls, *args, **kwargs)
            if self.ownership.owns(made) or type(made) in PLAIN_DATA:
                return made
            message = f"__new__ of {named(cls)} gave {named(made)}, which is not the plugin's own."
            raise TypeError(message)

        new.__name__ = "__new__"
        return new

    def _descriptor(self, value: Any, name: str) -> Any:
        """Return a descriptor's method, for own descriptors and objects of own classes.

        `property.__get__` would run a library's property on a class, where `self.__class__` is
        `type`; `cached_property.__get__` keeps what it computed in the object that it is given.
        """
        own = self.ownership
        held = value.__self__ if type(value) is super else value
        if not own.owns(held):
            refuse(value, name)
        found = getattr(value, name)
        if own.owns_function(found) or own.owns_function(held):
            return found
        fits = own.owns_class if name == "__set_name__" else own.owns_object

        def of_it(target: Any, /, *rest: Any) -> Any:
            if not (target is None or fits(target)):
                message = f"{name}() takes an object of the plugin's own."
                raise TypeError(message)
            return found(target, *rest)

        def of_class(descriptor: Any, target: Any, /, *rest: Any) -> Any:
            if not own.owns_object(descriptor) or not (target is None or fits(target)):
                message = f"{name}() takes a descriptor and an object of the plugin's own."
                raise TypeError(message)
            return found(descriptor, target, *rest)

        return of_class if isinstance(held, type) else of_it

    def _own_hook(self, value: Any, name: str) -> Any:
        held = value.__self__ if type(value) is super else value
        if self.ownership.owns(held):
            return self._checked(value, name, getattr(value, name))
        return refuse(value, name)

    def _annotations(self, value: Any, name: str) -> Any:
        return dict(getattr(value, name)) if self.ownership.owns(value) else refuse(value, name)

    def _wrapped(self, value: Any, name: str) -> Any:
        found = getattr(value, name)
        return found if self.ownership.owns(found) else refuse(value, name)

    def _members(self, value: Any, name: str) -> Any:
        return unshared(getattr(value, name))

    def _setter(self, value: Any, name: str) -> Any:
        if type(value) is super:
            target = cast("Any", value).__self__
            base = getattr(value, name)
            return lambda *args: self._store_by(lambda _, *rest: base(*rest), target, args)
        if value is object or self.ownership.owns_class(value):
            base = getattr(value, name)
            return lambda target, *args: self._store_by(base, target, args)
        if self.ownership.owns(value):
            return lambda *args: self._store_by(getattr(type(value), name), value, args)
        return refuse(value, name)

    def _store_by(self, base: Callable[..., Any], target: Any, args: tuple[Any, ...]) -> None:
        self._check_write(target, args[0] if args else None)
        base(target, *args)

    # Writing

    def write(self, target: Any, name: Any, value: Any) -> None:
        """Set `target.name = value`, or refuse."""
        self._check_write(target, name)
        setattr(target, name, value)

    def erase(self, target: Any, name: Any) -> None:
        """Delete `target.name`, or refuse."""
        self._check_write(target, name)
        delattr(target, name)

    def _check_write(self, target: Any, name: Any) -> None:
        """Refuse writes on anything shared: a library's class or function serves every plugin."""
        if type(name) is not str:
            message = f"An attribute's name must be a plain str, not {type(name).__name__}."
            raise TypeError(message)
        if kind_of_write(name) == "refused":
            refuse(target, name)
        later = name not in METHODS_LATER or self.ownership.owns_class(target)
        if self.ownership.owns(target) and later and not is_enum_table(target, name):
            return
        if isinstance(target, _WRITABLE) and not (is_dunder(name) or is_of_group(target)):
            return
        message = (
            f"{name!r} cannot be set on {named(target)}: it is not the plugin's own. "
            "Keep the value in a variable, or in an object of your own class."
        )
        raise AttributeError(message)

    def seal(self, target: Any) -> Any:
        """Return what attribute writes may go to: an own object as it is, others behind a check."""
        if type(target) in self.ownership.pure:
            return target
        return self._sealed_kind(target)


def _sealed_kind(guards: Guards) -> Callable[[Any], Any]:
    """Return the class of stand-ins that ask before each access; plugins never hold one."""

    class Sealed:
        __slots__ = ("target",)

        def __init__(self, target: Any) -> None:
            object.__setattr__(self, "target", target)

        def __getattribute__(self, name: str) -> Any:
            try:
                return guards.read(object.__getattribute__(self, "target"), name)
            except AttributeError as error:
                if (
                    _NAME.__get__(error) is None
                ):  # else the interpreter would tell the error of `self`
                    _NAME.__set__(error, name)
                raise

        def __setattr__(self, name: str, value: Any) -> None:
            guards.write(object.__getattribute__(self, "target"), name, value)

        def __delattr__(self, name: str) -> None:
            guards.erase(object.__getattribute__(self, "target"), name)

    return Sealed


_NAME = AttributeError.__dict__["name"]
"""Set past a `__setattr__` of the plugin's own."""

_Reader = Callable[[Guards, Any, str], Any]
_READERS: dict[str, _Reader] = {
    "gated": Guards._read_gated,
    "private": Guards._read_private,
    "dunder": Guards._read_dunder,
}
_SPECIAL: dict[str, _Reader] = {
    "__class__": Guards._class_of,
    "__dict__": Guards._dict_of,
    "__mro__": Guards._bases_of,
    "__bases__": Guards._bases_of,
    "__base__": Guards._bases_of,
    "__subclasses__": Guards._subclasses_of,
    "__init__": Guards._initialiser,
    "__new__": Guards._maker,
    "__get__": Guards._descriptor,
    "__set__": Guards._descriptor,
    "__delete__": Guards._descriptor,
    "__set_name__": Guards._descriptor,
    "__init_subclass__": Guards._own_hook,
    "__annotations__": Guards._annotations,
    "__members__": Guards._members,
    "__wrapped__": Guards._wrapped,
    "__setattr__": Guards._setter,
    "__delattr__": Guards._setter,
}
