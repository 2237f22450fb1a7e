"""The source for a Python module: each function becomes a tool; its text is read, it is not run."""

import ast
import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from generator.errors import GeneratorError
from generator.literal import Code, one_line, python
from generator.naming import group_name, identifier, title, unique, words
from generator.shape import or_none, shape_of
from generator.sources.annotation import PLAIN, annotate, sample_of_annotation, takes
from generator.sources.choice import check_choice, is_chosen
from generator.sources.openapi import DESTROYING
from generator.spec import ANYTHING, Effect, Group, Param, Source, Tool

_READING = frozenset(
    {"get", "list", "read", "find", "search", "count", "compute", "calculate", "is", "has", "load"}
    | {"parse", "format", "show", "describe", "mean", "median", "fetch", "lookup", "check", "to"}
)
_LINE = 100
"""Longest line of a project that a formatter does not break."""
COPIED = "functions"
"""Module of the project that a file of functions is copied to."""
_RESERVED = {"call"}
"""What a module of tools imports to call functions with."""


def read_functions(where: str, package: str) -> Source:
    """Return the source.

    Args:
        where: `package.module`, `package.module:one,two`, or a file with `.py`.
        package: The project's own package, into which a file is copied.

    Raises:
        GeneratorError: There is no such module or function, or it has no text.
    """
    target, wanted = _split(where)
    copied = target.endswith(".py")
    text = _read_file(Path(target)) if copied else _read_module(target)
    tree = _parse(text, target)
    import_path = f"{package}.{COPIED}" if copied else target
    nodes = _wanted(tree, wanted, target)
    names: set[str] = set()
    tools = tuple(_tool(node, names) for node in nodes)
    stem = Path(target).stem if copied else target.rpartition(".")[2]
    about = one_line(ast.get_docstring(tree) or "", 300).partition(". ")[0]
    return Source(
        "python",
        (Group(group_name(stem), one_line(stem, 60), tools),),
        dependencies=() if copied else _distribution(target),
        title=stem,
        description=about,
        extra={"import_path": import_path},
        files={f"{COPIED}.py": text} if copied else {},
    )


def _split(where: str) -> tuple[str, tuple[str, ...]]:
    target, colon, rest = where.rpartition(":")
    if not colon or "/" in rest or "\\" in rest:
        return where, ()
    return target, tuple(part.strip() for part in rest.split(",") if part.strip())


def _read_file(file: Path) -> str:
    try:
        return file.expanduser().read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise GeneratorError(f"{file} cannot be read: {error}.") from error


def _read_module(target: str) -> str:
    """Find a module's text. Packages above it are imported, which is how Python finds it."""
    if not all(part.isidentifier() for part in target.split(".")):
        raise GeneratorError(f"{target[:80]!r} is neither a module nor a file with .py.")
    try:
        found = importlib.util.find_spec(target)
    except (ImportError, ValueError) as error:
        raise GeneratorError(f"The module {target!r} cannot be found: {error}.") from error
    file = _text_of(found)
    if file is None:
        why = "is not written in Python" if found else "is not in the host's environment"
        raise GeneratorError(
            f"The module {target!r} {why}, so there is no text to read.",
            next_step="Name a file with .py that calls it."
            if found
            else "Install it there, or name its file.",
        )
    return _read_file(file)


def _text_of(found: ModuleSpec | None) -> Path | None:
    """Return the file of a module's text; modules that Python freezes, such as `os`, have one."""
    origin = found.origin if found else None
    if found and origin == "frozen":
        origin = getattr(found.loader_state, "filename", None)
    return Path(origin) if isinstance(origin, str) and origin.endswith(".py") else None


def _parse(text: str, target: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise GeneratorError(f"{target} is not Python: {error}.") from error


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _wanted(tree: ast.Module, patterns: Sequence[str], target: str) -> list[_Function]:
    functions = {node.name: node for node in tree.body if isinstance(node, _Function)}
    public = _exported(tree)
    if not patterns:
        chosen = [n for n in functions if (n in public if public else not n.startswith("_"))]
    else:
        visible = [n for n in functions if not n.startswith("_") or n in patterns]
        check_choice(patterns, visible, f"function in the text of {target}")
        chosen = [n for n in visible if is_chosen(n, patterns)]
    if not chosen:
        raise GeneratorError(f"{target} has no public function at its top level.")
    return [functions[n] for n in chosen]


def _exported(tree: ast.Module) -> set[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            try:
                return {str(item) for item in ast.literal_eval(node.value)}
            except (ValueError, TypeError):
                return set()
    return set()


def _tool(node: _Function, taken: set[str]) -> Tool:
    name = unique(identifier(node.name, otherwise="function", reserved=_RESERVED), taken)
    taken.add(name)
    doc = ast.get_docstring(node) or ""
    about, texts = split_docstring(doc)
    params = _params(node, texts)
    effect = _effect(node.name)
    return Tool(
        name,
        title(node.name) or node.name,
        about or f"{title(node.name)}.",
        params,
        effect=effect,
        idempotent=effect == "reads",
        returns=_returned(node.returns),
        call={
            "function": node.name,
            "awaited": isinstance(node, ast.AsyncFunctionDef),
            "answer": _ANSWERS.get(_returned(node.returns), {"good": True}),
        },
    )


def _effect(called: str) -> Effect:
    """Return what a function may do; one whose name says nothing may change something."""
    said = words(called)
    if set(said) & DESTROYING:
        return "destroys"
    return "reads" if said[:1] and said[0] in _READING else "adds"


def split_docstring(doc: str) -> tuple[str, dict[str, str]]:
    """Return what a Google docstring says before its sections, and of each argument."""
    about: list[str] = []
    texts: dict[str, str] = {}
    section, current = "", ""
    for line in doc.splitlines():
        heading = line.strip().rstrip(":").lower() if line.strip().endswith(":") else ""
        if heading in ("args", "arguments", "parameters", "returns", "raises", "yields", "example"):
            section, current = heading, ""
        elif line.strip().startswith((">>>", "...")):
            section = "example"
        elif section in ("args", "arguments", "parameters"):
            key, colon, rest = line.strip().partition(":")
            bare = key.partition(" ")[0]
            if colon and bare.isidentifier():
                current = bare
                texts[current] = rest.strip()
            elif current and line.strip():
                texts[current] += f" {line.strip()}"
        elif not section:
            about.append(line)
    return "\n".join(about).strip()[:2_000], texts


def _params(node: _Function, texts: Mapping[str, str]) -> tuple[Param, ...]:
    plain = [*node.args.posonlyargs, *node.args.args]
    defaults = [None] * (len(plain) - len(node.args.defaults)) + list(node.args.defaults)
    pairs = [*zip(plain, defaults, strict=True)]
    pairs += [*zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
    keyword = {arg.arg for arg in node.args.kwonlyargs}
    positional = {arg.arg for arg in node.args.posonlyargs}
    required_keywords = {
        arg.arg
        for arg, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if default is None
    }
    taken: set[str] = set()
    params: list[Param] = []
    for arg, default in pairs:
        required = arg.arg in required_keywords or (arg.arg not in keyword and default is None)
        params.append(
            _param(
                arg,
                default,
                required=required,
                place="positional" if arg.arg in positional else "keyword",
                about=one_line(texts.get(arg.arg, ""), 300),
                taken=taken,
            )
        )
    return tuple(params)


def _param(
    arg: ast.arg,
    default: ast.expr | None,
    *,
    required: bool,
    place: str,
    about: str,
    taken: set[str],
) -> Param:
    key = unique(identifier(arg.arg, otherwise="argument", reserved=_RESERVED), taken)
    taken.add(key)
    shape = shape_of({"type": PLAIN[text]}) if (text := _text(arg)) in PLAIN else None
    annotation = shape.annotation if shape else Code(annotate(arg.annotation))
    value, known = _literal(default)
    left_out = not required and not known
    if not required and (value is None or not known):
        value, annotation = None, or_none(annotation)
    line = f"    {key}: {annotation} = {python(value)},"
    if len(line) > _LINE and "\n" not in annotation and not annotation.isidentifier():
        annotation = ANYTHING  # a formatter would break the line in the middle of the type
    if not takes(annotation, value):
        annotation = ANYTHING  # the module contradicts itself, and a type checker would say so
    if annotation == ANYTHING:
        shape = None  # no value is a misfit any more
    return Param(
        key,
        arg.arg,
        annotation,
        required,
        value,
        about or f"{title(arg.arg) or arg.arg}.",
        place,
        shape.type_name if shape else "anything",
        shape.sample if shape else sample_of_annotation(annotation),
        shape.wrong if shape else None,
        {"left_out": left_out},
    )


_ANSWERS: dict[str, Any] = {"str": "good", "int": 7, "float": 7.5, "bool": True}
"""Types of answers that a project states → an answer of that type, for its tests."""


def _returned(node: ast.expr | None) -> Code:
    """Return the type of an answer where it is plain; all else is made JSON as it comes."""
    said = ast.unparse(node) if node is not None else ""
    return Code(said if said in _ANSWERS else "Any")


def _text(arg: ast.arg) -> str:
    return ast.unparse(arg.annotation) if arg.annotation is not None else ""


def _literal(node: ast.expr | None) -> tuple[Any, bool]:
    """Return a default that is a plain value, and whether it is one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool | None):
        return node.value, True
    return None, False


def _distribution(target: str) -> tuple[str, ...]:
    top = target.partition(".")[0]
    found = importlib.metadata.packages_distributions().get(top, [])
    return (found[0],) if found and found[0].lower() not in ("fastmcp", "pydantic") else ()
