"""Which names a plugin may read, write and define; asked by the policy and the guards.

Attribute names are constants in the source, so most are judged once, when a plugin is compiled, and
then cost nothing. Four kinds remain:

* `public`: read inline. Nothing a plugin can hold leads out through one (the reach test proves it).
* `gated`: public, but dangerous on a few types (`str.format`, `AttributeError.obj`); asked at run
time.
* `private`: `_x`, and `__x` inside a class. Free on the plugin's own objects, asked on all others.
* `dunder`: a short list, always asked.
* `refused`: never, on anything.
"""

from typing import Literal

Kind = Literal["public", "gated", "private", "dunder", "refused"]

_FRAMES = """
    ag_await ag_code ag_frame ag_running ag_suspended ag_state
    co_argcount co_cellvars co_branches co_code co_consts co_exceptiontable co_filename
    co_firstlineno co_flags co_freevars co_kwonlyargcount co_lines co_linetable co_lnotab co_name
    co_names co_nlocals co_positions co_posonlyargcount co_qualname co_stacksize co_varnames
    cr_await cr_code cr_frame cr_origin cr_running cr_suspended cr_state
    f_back f_builtins f_code f_generator f_globals f_lasti f_lineno f_locals f_trace
    f_trace_lines f_trace_opcodes
    gi_code gi_frame gi_running gi_suspended gi_state gi_yieldfrom
    tb_frame tb_lasti tb_lineno tb_next
"""
INSPECTION = frozenset(_FRAMES.split())
"""Attributes of frames, code, tracebacks, generators and coroutines, Python 3.11 to 3.14."""

REFUSED = INSPECTION | {"mro", "fget", "fset", "fdel", "_abc_impl"}
"""Never, on anything: `mro` lists hidden classes, `fget` hands out a method without its
self check."""

GATED = frozenset(
    [
        "format",
        "format_map",
        "obj",
        "register",
        "evaluate",
        "copy",
        "sub",
        "subn",
        "expand",
        "seed",
        "setstate",
        "groupindex",
        "unicode_whitespace_trans",
        "parse_object",
        "parse_array",
    ]
)
"""Public names that some library type answers with more than the plugin may have.

`copy` calls `self.__class__(...)`: taken from the class and called with a class in place of `self`,
it would hand out `type` (`Counter.copy(int)`). `seed` and `setstate` would set attributes on it.
`sub` and `expand` of a pattern put the replacement into a cache of all plugins.
`evaluate` runs the text of a `ForwardRef`. The parsers of a `JSONDecoder` are its inside.
"""

REPLACING = frozenset({"sub", "subn", "expand"})
TABLES = frozenset({"groupindex", "unicode_whitespace_trans"})
"""Those of them that are tables of all plugins; a plugin gets a copy."""

_OPERATORS = [
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "divmod",
    "pow",
    "lshift",
    "rshift",
    "and",
    "xor",
    "or",
]
METHODS = (
    frozenset(
        f"__{word}__"
        for word in [
            "init",
            "new",
            "post_init",
            "call",
            "repr",
            "str",
            "bytes",
            "format",
            "hash",
            "bool",
            "len",
            "length_hint",
            "iter",
            "next",
            "reversed",
            "contains",
            "getitem",
            "setitem",
            "delitem",
            "missing",
            "enter",
            "exit",
            "aenter",
            "aexit",
            "aiter",
            "anext",
            "await",
            "lt",
            "le",
            "eq",
            "ne",
            "gt",
            "ge",
            "neg",
            "pos",
            "abs",
            "invert",
            "int",
            "float",
            "complex",
            "index",
            "round",
            "trunc",
            "floor",
            "ceil",
            "init_subclass",
            "class_getitem",
            "set_name",
            "get",
            "set",
            "delete",
            "getattr",
            "setattr",
            "delattr",
            "copy",
            "deepcopy",
            "dir",
            "replace",
        ]
    )
    | {f"__{prefix}{word}__" for word in _OPERATORS for prefix in ("", "r", "i")}
) - {"__idivmod__"}
"""Special methods that a plugin's class may define.

Not among them: what lets an object lie about itself to library code (`__class__`, `__dict__`,
`__getattribute__`, `__instancecheck__`, `__subclasshook__`, `__mro_entries__`, `__prepare__`),
what pickling and copying trust (`__reduce__`, `__getstate__`, `__setstate__`), raw memory
(`__buffer__`), and `__del__`, which runs where nobody expects it.
"""

CLASS_NAMES = METHODS | {"__slots__", "__match_args__", "__doc__", "__hash__"}
MODULE_NAMES = frozenset({"__all__", "__version__", "__author__", "__doc__", "__license__"})
READ_NAMES = MODULE_NAMES | {"__name__", "__debug__", "__class__"}
"""`__class__` is the class around a method, which is the plugin's own."""

OWN_ONLY = frozenset(
    [
        "__getattr__",
        "__slots__",
        "__annotations__",
    ]
)
"""Readable on the plugin's own objects only: a library's tables are shared."""

DUNDERS = (
    METHODS
    | MODULE_NAMES
    | frozenset(
        [
            "__name__",
            "__qualname__",
            "__module__",
            "__class__",
            "__dict__",
            "__cause__",
            "__context__",
            "__suppress_context__",
            "__notes__",
            "__annotations__",
            "__members__",
            "__wrapped__",
            "__slots__",
            "__match_args__",
            "__mro__",
            "__bases__",
            "__base__",
            "__subclasses__",
            "__abstractmethods__",
            "__isabstractmethod__",
            "__metadata__",
            "__required_keys__",
            "__optional_keys__",
            "__total__",
        ]
    )
)
"""Every special name that may be read at all, each through a guard."""

WRITABLE_DUNDERS = frozenset({"__doc__", "__name__", "__qualname__"})
_AT_CREATION = (
    "new exit aexit init_subclass class_getitem set_name get set delete getattr setattr delattr"
)
METHODS_LATER = METHODS - {f"__{word}__" for word in _AT_CREATION.split()}
"""Special methods that a class decorator may give a plugin's own class."""


def is_dunder(name: str) -> bool:
    """Return whether Python gives the name a meaning of its own."""
    return name.startswith("__") and name.endswith("__")


def kind_of_read(name: str) -> Kind:
    """Return how reading an attribute of this name is judged."""
    if name in REFUSED:
        return "refused"
    if name in GATED:
        return "gated"
    if not name.startswith("_"):
        return "public"
    if is_dunder(name):
        return "dunder" if name in DUNDERS else "refused"
    return "private"


def kind_of_write(name: str) -> Literal["allowed", "refused"]:
    """Return whether an attribute of this name may be written on anything at all."""
    if name in REFUSED or (is_dunder(name) and name not in WRITABLE_DUNDERS | METHODS_LATER):
        return "refused"
    return "allowed"


def is_matchable(name: str) -> bool:
    """Return whether a class pattern may read this attribute; it does so past every guard."""
    return kind_of_read(name) == "public"
