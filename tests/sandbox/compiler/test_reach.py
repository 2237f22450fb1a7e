"""What a plugin can reach by reading, whatever it imports."""

import dis
import types

from host.sandbox.compiler import allowed_modules, compile_plugin
from host.sandbox.compiler.refusal import self_checked
from tests.sandbox.compiler.reach import mutable_shared, reached_outside, walk

EVERYTHING = "".join(
    f"import {module} as m{index}\n" for index, module in enumerate(allowed_modules())
)
_LEADING_OUT = {
    "__class__", "__dict__", "__globals__", "__subclasses__", "__mro__", "__bases__", "type",
    "setattr", "delattr", "exec", "eval", "__import__", "compile", "open", "globals", "vars",
}  # fmt: skip
_AUDITED = {
    "ChainMap.copy", "ChainMap.new_child", "Counter.copy", "_BaseExitStack.pop_all",
    "Random.seed", "Random.setstate",  # gated: asked at run time
    "_BaseExitStack.callback", "_BaseExitStack.enter_context", "_BaseExitStack.push",
    "Counter.most_common", "Fraction.from_decimal", "Fraction.from_float", "Fraction.from_number",
    "JSONEncoder.default", "Random.gauss",  # look at a class's name or its own module only
    "DynamicClassAttribute.getter", "DynamicClassAttribute.setter",
    "DynamicClassAttribute.deleter",  # call type() with four arguments, which it refuses
    "Template.substitute", "Template.safe_substitute",  # import a fixed name (Python 3.14)
}  # fmt: skip
"""Library methods that could do more with a self that is not theirs, each looked at."""


def test_nothing_outside_the_allowed_set_is_reachable_from_all_modules_together():
    assert reached_outside(compile_plugin(EVERYTHING, name="all").load()) == []


def test_no_container_that_plugins_share_can_be_changed():
    assert mutable_shared(compile_plugin(EVERYTHING, name="all").load()) == []


def test_no_library_method_gives_more_to_a_self_that_is_not_its_own():
    _, seen = walk(compile_plugin(EVERYTHING, name="all").load(), [], {})
    found: set[str] = set()
    for kind in [item for item in seen.values() if isinstance(item, type)]:
        for base in kind.__mro__:
            if base.__module__.startswith(("plugin:", "host.")):
                continue
            for name, item in vars(base).items():
                function = getattr(item, "__func__", item)
                is_method = isinstance(function, types.FunctionType) and name[0] != "_"
                if is_method and function.__module__ == self_checked.__module__:
                    continue  # it insists on its self
                if is_method and _leads_out(function):
                    found.add(f"{base.__qualname__}.{name}")
    assert found <= _AUDITED


def _leads_out(function: types.FunctionType) -> bool:
    writes = {"STORE_ATTR", "DELETE_ATTR", "IMPORT_NAME"}
    named = _LEADING_OUT & set(function.__code__.co_names)
    return bool(named) or any(step.opname in writes for step in dis.get_instructions(function))


def test_a_leak_is_found_when_there_is_one():
    plugin = compile_plugin("x = leak", name="leaky")
    namespace = plugin.load(extra_builtins={"leak": (types, types.FunctionType)})
    assert [item.what for item in reached_outside(namespace)] == [
        "module",
        "class builtins.function",
    ]
