"""`dataclasses` for plugins."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import dataclasses
import keyword
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from host.sandbox.compiler.classes import check_base
from host.sandbox.compiler.facades.made_copy import Copier
from host.sandbox.compiler.facades.replacing import replacer
from host.sandbox.compiler.facades.text_fields import with_meanings
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.names import METHODS, REFUSED, is_dunder, is_matchable, kind_of_read
from host.sandbox.compiler.ownership import Ownership
from host.sandbox.compiler.refusal import demand_names

_Made = Callable[..., Any]
_BY_DEF = {"__new__", "__exit__", "__aexit__"}


def members(guards: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""

    def dataclass(cls: Any = None, /, *, match_args: bool = True, **options: Any) -> Any:
        """Turn a class into a dataclass; it sets attributes, so only the plugin's own classes."""
        demand_names(options)
        if cls is None:
            return lambda found: dataclass(found, match_args=match_args, **options)
        if not guards.ownership.owns_class(cls):
            message = f"dataclass works on the plugin's own classes, not on {cls!r}."
            raise TypeError(message)
        _check_fields(cls, guards.ownership)
        made = with_meanings(
            cls,
            lambda: dataclasses.dataclass(cls, match_args=False, **options),
            guards.ownership.namespace,
        )
        if match_args and "__match_args__" not in vars(made):
            type.__setattr__(made, "__match_args__", _matched(made))
        return guards.ownership.adopt(made)

    def asdict(value: Any, *, dict_factory: _Made = dict) -> Any:
        _demand_dataclass(value)
        return _Plain(guards, dict_factory).of(value)

    def astuple(value: Any, *, tuple_factory: _Made = tuple) -> Any:
        _demand_dataclass(value)
        return _Plain(guards, lambda pairs: tuple_factory([item for _, item in pairs])).of(value)

    def make_dataclass(
        cls_name: str,
        fields: Iterable[Any],
        *,
        bases: Iterable[Any] = (),
        namespace: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Make a dataclass; its attributes are those that a class statement could give it."""
        spelled = _spelled(cls_name, fields, dict(namespace or {}))
        spelled["__module__"] = guards.ownership.module
        asked = tuple(bases)  # once: a tuple of the plugin's own class may say something else later
        for base in asked:
            check_base(base, guards.ownership)
        demand_names(options)
        options.pop("module", None)
        return dataclass(
            types.new_class(cls_name, asked, {}, lambda ns: ns.update(spelled)), **options
        )

    return {
        "dataclass": dataclass,
        "field": field,
        "make_dataclass": make_dataclass,
        "replace": replacer(guards),
        "asdict": asdict,
        "astuple": astuple,
    }


def _check_fields(cls: type, own: Ownership) -> None:
    """Refuse fields whose names mean something else to what the class inherits.

    What a dataclass is given, as `__eq__`, reads its fields past the guards: a field called
    `__get__` without a value would be the library's method of that name.
    """
    foreign = [base for base in cls.__mro__ if not own.owns_class(base)]
    for name in _annotated(cls):
        kind = kind_of_read(name)
        taken = kind != "public" and any(hasattr(base, name) for base in (*foreign, type(cls)))
        gated = kind == "gated" and not own.is_pure(cls)  # what a library's `__init__` sets, too
        if is_dunder(name) or name in REFUSED or taken or gated:
            message = f"{name!r} cannot be a field of {cls.__name__}. Use another name."
            raise TypeError(message)


def _annotated(cls: type) -> Iterable[str]:
    """Return the names that a class body annotates, without evaluating what they are."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415  # from 3.14 on

        return annotationlib.get_annotations(cls, format=annotationlib.Format.STRING)
    return vars(cls).get("__annotations__", {})


def field(*, metadata: Mapping[Any, Any] | None = None, **options: Any) -> Any:
    """Describe a field; its table of metadata is its own."""
    demand_names(options)
    return dataclasses.field(metadata=dict(metadata or {}), **options)


def _spelled(cls_name: str, fields: Iterable[Any], namespace: dict[str, Any]) -> dict[str, Any]:
    annotations: dict[str, Any] = {}
    for item in fields:
        name, kind, *default = (item, Any) if type(item) is str else tuple(item)
        if name in annotations:
            message = f"Field name duplicated: {name!r}"
            raise TypeError(message)
        annotations[name] = kind
        namespace.update(dict.fromkeys([name], *default) if default else {})
    for name in (cls_name, *annotations, *namespace):
        plain = type(name) is str and name.isidentifier() and not keyword.iskeyword(name)
        special = name in METHODS - _BY_DEF and name in namespace and name not in annotations
        if not plain or name in REFUSED or (is_dunder(name) and not special):
            message = f"{name!r} cannot be a name in a class. Use a plain identifier."
            raise TypeError(message)
    return {**namespace, "__annotations__": annotations}


def _matched(made: Any) -> tuple[str, ...]:
    """Return the fields that patterns may read by position, up to the first that they may not.

    A pattern reads past the guards, and an abstract base class accepts what was registered with it.
    """
    found: list[str] = []
    for field in dataclasses.fields(made):
        if field.init and not field.kw_only:
            if not is_matchable(field.name):
                break
            found.append(field.name)
    return tuple(found)


def _demand_dataclass(value: Any) -> None:
    if isinstance(value, type) or not dataclasses.is_dataclass(type(value)):
        message = f"{value!r} is not an instance of a dataclass."
        raise TypeError(message)


class _Plain:
    """Turns dataclasses into dicts or tuples without asking objects how to copy them."""

    def __init__(self, guards: Guards, shape: _Made) -> None:
        self._copier = Copier(guards)
        self._read = guards.read
        self._shape = shape

    def of(self, value: Any) -> Any:
        kind = type(value)
        if dataclasses.is_dataclass(kind):
            return self._shape(
                [
                    (field.name, self.of(self._read(value, field.name)))
                    for field in dataclasses.fields(kind)
                ]
            )
        if kind in (list, tuple):
            return kind([self.of(item) for item in value])
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return tuple.__new__(kind, [self.of(item) for item in value])
        if kind is dict:
            return {self.of(key): self.of(item) for key, item in value.items()}
        return self._copier.deep(value, {})
