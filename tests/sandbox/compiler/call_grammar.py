"""Writes programs that call, a few statements for each number, so that lists of numbers shrink.

What is written is chosen so that most of it runs: attributes are picked while the program runs
(`at`), own classes tell whatever they are handed (`tell`), and what a class was given is used.
"""

from collections.abc import Sequence
from random import Random

from host.sandbox.compiler.names import METHODS
from tests.sandbox.compiler.call_words import (
    BASES,
    BUILTINS,
    CLASSES,
    CONSTANTS,
    FAVOURITES,
    HOOKS,
    INSIDES,
    MEMBERS,
    NAMED,
    OFTEN,
    PROPERTIES,
    SHORT,
)

_COMPANIONS = {
    "__exit__": "__enter__",
    "__aexit__": "__aenter__",
    "__next__": "__iter__",
    "throw": "__next__",
    "athrow": "__anext__",
    "__anext__": "__aiter__",
    "__eq__": "__hash__",
}
"""What an object needs besides, for a method to be called at all."""


def written(numbers: list[int]) -> list[str]:
    """Return the statements of a program."""
    return [statement for number in numbers for statement in Writer(number).statements()]


class Writer:
    """Writes the statements of one number."""

    def __init__(self, number: int) -> None:
        self._dice = Random(number)  # noqa: S311 - the same number writes the same program

    def statements(self) -> list[str]:
        """Return sources that run one after the other, each of which may fail alone."""
        kinds = [self._assign] * 7 + [self._class] * 5 + [self._with] * 3 + [self._match]
        kinds += [self._wear, self._bind, self._copied, self._record]
        kinds += [self._steps, self._decorated, self._write, self._failing]
        kinds += [self._formatted, self._later, self._loop, self._tuples]
        return self._dice.choice(kinds)()

    # Values

    def _one(self, words: Sequence[str]) -> str:
        return self._dice.choice(words)

    def _often(self, share: float) -> bool:
        return self._dice.random() < share

    def _variable(self) -> str:
        return f"v{self._dice.randrange(5)}"

    def _own(self) -> str:
        return f"K{self._dice.randrange(3)}"

    def _member(self) -> str:
        if self._often(0.5):
            module, _, name = self._one(FAVOURITES).rpartition(".")
        else:
            module = self._one(list(MEMBERS))
            name = self._one(MEMBERS[module])
        return f"{SHORT[module]}.{name}"

    def _value(self) -> str:
        chosen = self._dice.random()
        if chosen < 0.3:
            return self._variable()
        if chosen < 0.5:
            return self._member()
        if chosen < 0.65:
            return self._one(CONSTANTS)
        if chosen < 0.7:
            return self._one(BUILTINS)
        own = [self._own(), f"{self._own()}()", "Tap()", "steps()", "steps", "Told('x')", "given"]
        return self._one([*own, "later()", "lambda *a: (tell(*a), a[0])[1]", "iter([1, Tap()])"])

    def _arguments(self) -> str:
        given = [self._value() for _ in range(self._dice.choice([0, 1, 1, 1, 2, 2, 3]))]
        if self._often(0.15):
            given.append(f"{self._one(NAMED)}={self._value()}")
        return ", ".join(given)

    def _at(self, value: str) -> str:
        return f"at({value}, {self._dice.randrange(1000)})"

    def _name(self) -> str:
        return self._one(INSIDES if self._often(0.4) else HOOKS)

    def _call(self) -> str:
        callee = self._member() if self._often(0.7) else self._one([*BUILTINS, self._variable()])
        return f"({callee})({self._arguments()})"

    def _expression(self) -> str:
        a, b = self._value(), self._value()
        if self._often(0.35):
            return self._call()
        if self._often(0.4):
            return f"{self._at(a)}({self._arguments()})"
        return self._one(
            [
                self._at(a),
                f"({a}).{self._one(HOOKS)}",
                f"getattr({a}, {self._name()!r})",
                f"m_operator.attrgetter({self._name()!r})({a})",
                f"m_operator.methodcaller({self._name()!r}, {b})({a})",
                f"({a}) {self._one(['==', '|', '+', '<', 'in', '&', '-', '%'])} ({b})",
                f"({a})[{b}]",
                f"[tell(x) for x in few({a})]",
                f"list(few(map({a}, [{b}, {self._value()}])))",
                f"({self._call()})({self._arguments()})",
                f"type({a})({self._arguments()})",
                f"{self._at(self._call())}({self._arguments()})",
                f"({a}).{self._one(HOOKS)}({self._arguments()})",
            ]
        )

    # Statements

    def _assign(self) -> list[str]:
        return [f"{self._variable()} = small({self._expression()})"]

    def _class(self) -> list[str]:
        name, bases = self._own(), self._bases()
        parts = [self._part() for _ in range(self._dice.choice([1, 1, 2, 2, 3]))]
        lines = [f"@{item}" for item in self._marks(0.2)]
        lines.append(f"class {name}({', '.join(bases)}):")
        lines += [f"    {line}" for _, text in parts for line in text.splitlines()]
        used = [f"{target}.{part}" for part, _ in parts for target in (name, "v0")]
        used = [item for item in used if ".__" not in item]
        after = [f"v0 = {name}({self._arguments()})", f"v0 = {name}()"]
        after += [f"v1 = {item}" for item in used] + [f"v2 = v1({self._value()})"]
        after += [f"v0.{part} += 1" for part, _ in parts if not part.startswith("__")]
        return ["\n".join(lines), *after, *self._uses(name)]

    def _bases(self) -> list[str]:
        if self._often(0.1):
            return [self._expression()]
        found = [self._one(BASES)]
        if self._often(0.25):
            found.append(self._one([*BASES, "m_abc.ABC"]))
        if self._often(0.1):
            found.append(f"metaclass={self._one(['m_abc.ABCMeta', 'type', self._value()])}")
        return found

    def _part(self) -> tuple[str, str]:
        """Return the name of an attribute and how a class statement spells it."""
        if self._often(0.3):
            name = self._one(HOOKS if self._often(0.8) else INSIDES)
            value = "Tap()" if self._often(0.4) else self._value()
            kind = self._one(["", "", ": int", ": 'm_typing.Any'"])
            return name, f"{name}{kind} = {value}"
        dunder = f"__{self._one(OFTEN)}__" if self._often(0.6) else self._one(sorted(METHODS))
        name = self._one(HOOKS) if self._often(0.35) else dunder
        marks = "".join(f"@{item}\n" for item in self._marks(0.25))
        later = "async " if self._often(0.08) else ""
        text = f"{marks}{later}def {name}(self, *a, **k):\n{self._body(name)}"
        if name in _COMPANIONS:
            answer = self._one(["self", "self", "1"])
            text += f"\ndef {_COMPANIONS[name]}(self):\n    tell()\n    return {answer}"
        return name, text

    def _body(self, name: str) -> str:
        last = [f"return {self._value()}", "return self", f"return super().{name}(*a, **k)"] * 2
        last += [
            "raise Told('x')",
            "raise Lost('x')",
            f"raise {self._own()}()",
            f"yield {self._value()}",
        ]
        last += [
            "return a[0]",
            "return iter((1, a))",
            "yield from few(a[0])",
            "raise StopIteration",
        ]
        return f"    tell(self, *a, *k.values())\n    {self._one(last)}"

    def _marks(self, share: float) -> list[str]:
        if not self._often(share):
            return []
        known = ["property", "classmethod", "staticmethod", "m_dataclasses.dataclass"]
        known += [
            "m_functools.cached_property",
            "m_functools.lru_cache",
            "m_functools.total_ordering",
        ]
        known += ["m_contextlib.contextmanager", "m_abc.abstractmethod", "m_enum.unique"]
        return [self._one([*known, self._value(), self._call()])]

    def _uses(self, name: str) -> list[str]:
        """Return what a library does with objects of a plugin's own."""
        known = [
            f"{self._own()}.held = v0\ntell({self._own()}.held, {self._own()}().held)",
            f"{name}.register(m_collections_abc.{self._one(['Generator', 'Iterator', 'Mapping'])})",
            f"match steps():\n    case {name}(found):\n        tell(found)",
            f"match {self._value()}:\n    case {name}(found):\n        tell(found)",
            "with v0 as v3:\n    raise Told('x')",
            f"with v0 as v3:\n    v3.push(tell)\n    raise {self._own()}()",
            f"with m_contextlib.contextmanager(lambda: {name}())():\n    raise {self._own()}()",
            f"with m_contextlib.contextmanager(steps)():\n    raise {name}()",
            f"with m_contextlib.suppress({name}):\n    raise v0",
            f"try:\n    raise v0 from Told('y')\nexcept {name} as caught:\n    tell(caught)",
            f"v3 = m_json.dumps([{self._value()}, v0], cls={name}, default=tell)",
            "v3 = small((v0, v0.format(K0), f'{v0!r:>5}', '%s' % v0, '{0.x}'.format(v0)))",
            f"v3 = {name}.__get__({self._at(self._member())}, {self._own()}, None)",
            f"v3 = {name}.__init__({self._at(self._member())}, tell)",
            f"v3 = {name}.__get__({name}({self._at(self._member())}), {self._own()}, None)",
            f"v0.{self._one(HOOKS)} += {self._value()}",
            f"v0.{self._one(HOOKS)} = {self._value()}",
            "v3 = small(list(few(v0)))",
            f"v3 = v0 == {self._value()}\nv4 = {self._value()} | v0",
            f"drive(within(v0, {self._value()}))",
            f"drive(within(m_contextlib.asynccontextmanager({name})(), Told('x')))",
            f"v3 = {self._member()}(v0)",
            f"v3 = {self._member()}({self._value()}, v0)",
            f"v3 = {self._member()}({name})",
            f"v3 = small({self._at(name)}(v0, {self._value()}))",
            f"v3 = small({self._at('v0')}({self._arguments()}))",
        ]
        return self._dice.sample(known, 5)

    def _with(self) -> list[str]:
        makers = ["contextmanager", "asynccontextmanager", "closing", "nullcontext", "aclosing"]
        source = self._one(["steps", "later", self._own(), "lambda: Tap()", self._value()])
        made = f"m_contextlib.{self._one(makers)}({source})"
        made = self._one([f"{made}()", made, "m_contextlib.ExitStack()", f"{self._own()}()"])
        given = self._one([self._value(), "tell", f"m_contextlib.contextmanager({source})()"])
        within = [f"tell(v3.{self._one(['push', 'callback', 'enter_context'])}({given}))"]
        within += ["tell(v3)", "v4 = v3.pop_all()", "pass"]
        body = "".join(f"    {line}\n" for line in self._dice.sample(within, 2))
        error = self._one(["Told('x')", f"{self._own()}()", "Told", "StopIteration(Tap())"])
        plain = f"with {made} as v3:\n{body}    raise {error}"
        return [plain, f"drive(within({made}, {error}))", "v2 = small(v4)"]

    def _match(self) -> list[str]:
        a, b = self._one(HOOKS), self._one(INSIDES)
        cases = [
            f"{self._own()}({a}=x)",
            f"{self._member()}(x)",
            f"{self._own()}(x, *_)",
            "[x, *_]",
        ]
        cases += [f"object({b}=x)", "{'a': x, **rest}", f"{self._own()}(x, {a}=y)"]
        return [f"match {self._value()}:\n    case {self._one(cases)}:\n        tell(x)"]

    def _wear(self) -> list[str]:
        """Put a library's descriptor into an own class that has what it reads."""
        name, kept = self._own(), self._property()
        holds = ["classmethod", "staticmethod", "property", "m_functools.partialmethod", ""]
        return [
            *self._dressed(name, kept),
            f"{name}.held = {self._one(holds)}(v0)",
            f"v1 = {name}.held",
            f"v2 = {name}().held",
            f"v3 = v1({self._arguments()})",
        ]

    def _property(self) -> str:
        kind = self._one(sorted(PROPERTIES))
        return f"{kind}.{self._one(PROPERTIES[kind])}"

    def _dressed(self, name: str, kept: str) -> list[str]:
        value = self._one(["[0, K0]", "[0, K0]", self._value()])
        return [f"v0 = {kept}", f"for name in needs(v0):\n    setattr({name}, name, {value})"]

    def _bind(self) -> list[str]:
        """Call the descriptor methods of an own subclass of a descriptor."""
        base = self._one(["property", "m_functools.cached_property", "m_functools.partialmethod"])
        own, given = self._own(), self._one(["v0", "K2(v0)", self._value()])
        called = self._one(["__get__", "__get__", "__init__", "__set_name__", "__set__"])
        return [
            *self._dressed("K0", self._property()),
            f"class K2({base}):\n    pass",
            f"v1 = K2.{called}({given}, {self._one(['K0', 'K0', own, 'K0()'])}, None)",
            "v2 = v1.func",
            f"v3 = v1({self._arguments()})",
        ]

    def _copied(self) -> list[str]:
        """Give a class of the library to what copies the names of functions."""
        kind = self._one(sorted(CLASSES))
        names = self._dice.sample(CLASSES[kind], min(4, len(CLASSES[kind])))
        made = [
            "m_functools.lru_cache({})",
            "m_contextlib.contextmanager({})",
            "m_functools.cache({})",
        ]
        made += ["m_functools.wraps({})(given)", "m_contextlib.ContextDecorator()({})", "K0()({})"]
        reads = [f"v{number} = v0.{name}" for number, name in enumerate(names, 1)]
        return [f"v0 = {self._one(made).format(kind)}", *reads, f"v0 = v0({self._arguments()})"]

    def _record(self) -> list[str]:
        """Give a record's fields names that a pattern would read from what it passes for."""
        own, name = self._own(), self._one(["gi_frame", "gi_code", self._name(), self._name()])
        bases = ["m_collections.namedtuple('R', '{}')", "named_tuple('{}')", "K1"]
        kind = self._one(["Generator", "Iterator", "Callable", "Mapping", "Coroutine"])
        subject = self._one(["steps()", "steps()", "given", "later()", self._value()])
        return [
            f"@m_dataclasses.dataclass\nclass K1:\n    {name}: int = 0",
            f"class {own}({self._one(bases).format(name)}, m_abc.ABC):\n    pass",
            f"{own}.register(m_collections_abc.{kind})",
            f"match {subject}:\n    case {own}(found):\n        tell(found)",
        ]

    def _steps(self) -> list[str]:
        source = self._one([self._value(), f"{self._own()}()", "Tap()", "steps()"])
        told = self._one(["send(1)", "throw(Told('x'))", "close()", f"throw({self._value()})"])
        body = f"def steps():\n    got = yield from {source}\n    tell(got)\n    yield got"
        return [
            body,
            "v0 = steps()",
            "v1 = next(v0)",
            f"v2 = v0.{told}",
            f"v3 = next(v0, {self._value()})",
        ]

    def _decorated(self) -> list[str]:
        marks = [f"@{self._one([self._value(), self._call(), self._expression()])}" for _ in "12"]
        named = f"def given(first: {self._value()} = {self._value()}, *a: '{self._own()}', **k):"
        body = f"    tell(first, *a, *k.values())\n    return {self._value()}"
        calls = [f"v0 = given({self._arguments()})", f"v1 = given.{self._name()}", "v2 = given"]
        return ["\n".join([*marks[: self._dice.choice([1, 1, 2])], named, body]), *calls]

    def _write(self) -> list[str]:
        target, name, value = self._value(), self._one([*HOOKS, *INSIDES]), self._value()
        kinds = [f"setattr({target}, {name!r}, {value})", f"({target}).{name} = {value}"]
        kinds += [f"({target})[{self._value()}] = {value}", f"delattr({target}, {name!r})"]
        kinds += [f"({target}).{name} += {value}", f"{self._at(target)}.x = {value}"]
        return [self._one(kinds), f"v0 = small({target})"]

    def _failing(self) -> list[str]:
        error = self._one(["Told('x')", f"{self._own()}()", "Tap().x", "1 / 0", self._expression()])
        read = self._at("caught") if self._often(0.7) else f"getattr(caught, {self._name()!r})"
        star = "*" if self._often(0.2) else ""
        caught = f"except{star} Exception as caught:\n    tell(caught, {read})\n    v1 = {read}"
        return [f"try:\n    raise {error} from {self._value()}\n{caught}"]

    def _formatted(self) -> list[str]:
        field = f"0.{self._name()}" if self._often(0.7) else f"0[{self._name()}]"
        template = repr("{" + field + self._one(["", "!r", ":>5", ":{0}"]) + "}")
        value = self._value()
        made = [f"({template}).format({value})", f"({template}).format_map([{value}])"]
        made += [
            f"m_string.Formatter().format({template}, {value})",
            f"str.format({template}, {value})",
        ]
        made += [
            f"{self._own()}({template}).format({value})",
            f"'%({field})s' % {{{field!r}: {value}}}",
        ]
        made += [f"m_string.Template('$x').substitute(x={value})", f"format({value}, {template})"]
        return [f"v0 = {self._one(made)}"]

    def _later(self) -> list[str]:
        value, name = self._value(), self._own()
        awaited = self._one(
            [f"await {value}", f"[tell(x) async for x in {value}]", f"await {name}()"]
        )
        return [f"async def later():\n    tell({awaited})\n    yield {value}",
                f"async def soon():\n    return {awaited}", "v0 = drive(soon())",
                "v1 = drive(later().__anext__())",
                f"drive(within({value}, Told('x')))"]  # fmt: skip

    def _loop(self) -> list[str]:
        a, b = self._value(), self._value()
        return [f"for v0, *v1 in few(zip({a}, {b})): tell(v0, v1)",
                f"v2 = {{x: y for x, y in few(enumerate({a}))}}",
                f"v3 = small([*few({a}), *few({b})])", f"v4 = given(*few({a}), **{b})"]  # fmt: skip

    def _tuples(self) -> list[str]:
        names, value = [self._name(), self._one(HOOKS)], self._value()
        pairs = [(name, "K0") for name in names]
        shown = "[" + ", ".join(f"({name!r}, {kind})" for name, kind in pairs) + "]"
        made = [f"m_collections.namedtuple('K', {names})", f"m_typing.NamedTuple('K', {shown})"]
        made += [f"m_dataclasses.make_dataclass('K', {shown})", f"m_enum.Enum('K', {shown})"]
        made += [f"m_typing.TypedDict('K', {dict.fromkeys(names, 1)})"]
        name = self._own()
        return [f"{name} = {self._one(made)}", f"v0 = {name}({value}, {self._value()})",
                f"v1 = {self._at('v0')}", f"v2 = small({self._at(name)}({self._arguments()}))",
                f"match v0:\n    case {name}(x, y):\n        tell(x, y)"]  # fmt: skip
