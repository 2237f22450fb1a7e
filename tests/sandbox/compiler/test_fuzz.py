"""Generated programs are rejected, or behave as in CPython and reach nothing outside."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import os

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.domain.errors import PluginRejectedError
from host.sandbox.compiler import compile_plugin
from tests.sandbox.compiler.reach import reached_outside
from tests.sandbox.compiler.shared_state import fingerprint


def examples(usual: int) -> int:
    """Return how many programs to make; `HOST_FUZZ_EXAMPLES` asks for a long run."""
    return int(os.environ.get("HOST_FUZZ_EXAMPLES", str(usual)))


ATTRIBUTES = [
    "__class__",
    "__base__",
    "__mro__",
    "__subclasses__",
    "__globals__",
    "__code__",
    "__dict__",
    "__init__",
    "__new__",
    "mro",
    "__self__",
    "__func__",
    "__wrapped__",
    "__closure__",
    "__builtins__",
    "__module__",
    "__reduce_ex__",
    "gi_frame",
    "f_back",
    "tb_frame",
    "cr_frame",
    "format",
    "format_map",
    "obj",
    "copy",
    "register",
    "x",
    "_x",
    "items",
    "append",
    "func",
    "fget",
    "maps",
    "name",
    "value",
    "__getattribute__",
    "__setattr__",
    "__match_args__",
    "__annotations__",
    "__traceback__",
    "__context__",
]
MODULES = [
    "json",
    "collections",
    "functools",
    "operator",
    "enum",
    "dataclasses",
    "typing",
    "copy",
    "random",
    "re",
    "string",
]
MEMBERS = [
    "Counter",
    "ChainMap",
    "partial",
    "reduce",
    "attrgetter",
    "dumps",
    "Random",
    "JSONEncoder",
    "Template",
    "Enum",
    "compile",
    "copy",
]
NAMES = [
    "a",
    "b",
    "c",
    "_d",
    "K",
    "f",
    "g",
    "type",
    "object",
    "len",
    "getattr",
    "super",
    "str",
    "int",
    *MODULES,
]


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    attribute = st.sampled_from(ATTRIBUTES + MEMBERS)
    return st.one_of(
        st.builds("({}).{}".format, inner, attribute),
        st.builds("({})({})".format, inner, inner),
        st.builds("({})()".format, inner),
        st.builds("getattr({}, {!r})".format, inner, attribute),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("[{} for b in [{}]]".format, inner, inner),
        st.builds("(lambda a: {})({})".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("(b := {})".format, inner),
        st.builds("'{{0.{}}}'.format({})".format, attribute, inner),
        st.builds("type({})".format, inner),
        st.builds("operator.attrgetter({!r})({})".format, attribute, inner),
        st.builds("({} for a in [1])".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
    )


ATOMS = st.one_of(st.sampled_from(NAMES), st.sampled_from(["1", "'x'", "[]", "{}", "()", "None"]))
EXPRESSIONS = st.recursive(ATOMS, _expressions, max_leaves=6)
TARGETS = st.one_of(
    st.sampled_from(NAMES),
    st.builds("{}.{}".format, st.sampled_from(NAMES), st.sampled_from(ATTRIBUTES)),
)
STATEMENTS = st.one_of(
    st.builds("{} = {}".format, TARGETS, EXPRESSIONS),
    st.builds(
        "try:\n    c = {}\nexcept Exception as a:\n    b = {}".format, EXPRESSIONS, EXPRESSIONS
    ),
    st.builds(
        "match {}:\n    case object({}=c):\n        b = c".format,
        EXPRESSIONS,
        st.sampled_from(ATTRIBUTES),
    ),
    st.builds(
        "class K(object):\n    {} = {}\n    def m(self): return {}".format,
        st.sampled_from([*ATTRIBUTES, "x"]),
        EXPRESSIONS,
        EXPRESSIONS,
    ),
    st.builds("def g(a={}):\n    yield {}".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("def f(a):\n    a.x = 1\n    a._x = {}\n    return a".format, EXPRESSIONS),
    st.builds("for {} in [{}]:\n    pass".format, TARGETS, EXPRESSIONS),
    st.builds("del {}".format, TARGETS),
    st.builds("@{}\ndef f(a): return {}".format, EXPRESSIONS, EXPRESSIONS),
)
PROGRAMS = st.lists(STATEMENTS, min_size=1, max_size=6)
HEADER = "".join(f"import {module}\n" for module in MODULES) + (
    "a, b, c, _d = 1, [2], {'x': 3}, (i for i in [1])\n"
    "class K:\n    pass\ndef f(a):\n    return a\ndef g():\n    yield 1\n"
)


def _guarded(statement: str) -> str:
    body = "\n".join("    " + line for line in statement.splitlines())
    return f"try:\n{body}\nexcept Exception as error:\n    kept = error\n"


@settings(
    max_examples=examples(150),
    deadline=None,
    database=None,
    suppress_health_check=(HealthCheck.too_slow,),
)
@given(PROGRAMS)
def test_generated_program_reaches_nothing_outside_the_allowed_set(statements: list[str]):
    accepted: list[str] = []
    for statement in statements:
        try:
            compile_plugin(HEADER + _guarded(statement), name="fuzz")
        except PluginRejectedError:
            continue
        accepted.append(_guarded(statement))
    before = fingerprint()
    plugin = compile_plugin(HEADER + "".join(accepted), name="fuzz")
    namespace = plugin.prepare()
    namespace.run(plugin.code)
    assert reached_outside(namespace) == []
    assert fingerprint() == before


NUMBERS = st.recursive(
    st.integers(-9, 9).map(str) | st.sampled_from(["n", "box.v", "box._w", "box.items[0]"]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "<", "and"]), inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("sum([{} for n in range(3)])".format, inner),
        st.builds("(lambda n: {})({})".format, inner, inner),
        st.builds("len('{{}}'.format({}))".format, inner),
        st.builds("max({}, {})".format, inner, inner),
    ),
    max_leaves=8,
)
STEPS = st.one_of(
    st.builds("{} = {}".format, st.sampled_from(["n", "box.v", "box._w", "box.items[0]"]), NUMBERS),
    st.builds(
        "{} += {}".format, st.sampled_from(["n", "box.v", "box._w", "box.items[0]"]), NUMBERS
    ),
    st.builds("for n in range(3):\n    box.v += {}".format, NUMBERS),
    st.builds("if {}:\n    n = 1\nelse:\n    box._w = 2".format, NUMBERS),
    st.builds("match {}:\n    case 0: n = 5\n    case int(n): pass".format, NUMBERS),
    st.builds("out.append({})".format, NUMBERS),
)
BOX = "class Box:\n    def __init__(self):\n        self.v, self._w, self.items = 1, 2, [3]\n"


@settings(
    max_examples=examples(200),
    deadline=None,
    database=None,
    suppress_health_check=(HealthCheck.too_slow,),
)
@given(st.lists(STEPS, min_size=1, max_size=8))
def test_accepted_program_behaves_as_in_cpython(steps: list[str]):
    body = "".join(f"    {line}\n" for step in steps for line in step.splitlines())
    source = (
        f"{BOX}def run(box, n):\n    out = []\n{body}    return out, n, box.v, box._w, box.items\n"
    )
    source += "result = run(Box(), 4)\n"
    plain: dict[str, object] = {}
    exec(compile(source, "plain", "exec", dont_inherit=True), plain)  # noqa: S102
    assert compile_plugin(source, name="fuzz").load()["result"] == plain["result"]
