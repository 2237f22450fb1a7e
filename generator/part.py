"""A plugin, an agent or a policy of the host: what is wanted in, the text of its files out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from generator.errors import GeneratorError
from generator.literal import Code, one_line
from generator.naming import identifier, unique
from generator.render import TEMPLATES, load_templates, render

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]{1,128}")
_IN_THE_WAY: Mapping[str, Mapping[str, str]] = {
    "default": {"destructive": "ask"},
    "strict": {"changes": "ask", "destructive": "deny"},
    "readonly": {"changes": "deny"},
    "unattended": {"destructive": "deny"},
    "permissive": {},
}
"""Shipped policy → its rules that stand in the way of a looser rule, and what they do."""
BASES = tuple(_IN_THE_WAY)
"""The shipped policies that another can build on."""


@dataclass(frozen=True, kw_only=True)
class PluginSpec:
    """A plugin to make."""

    name: str
    description: str = ""
    calls: tuple[str, ...] = ()
    """Catalog tools, or patterns of them, that it may call."""
    state: bool = False
    """Whether it keeps values between calls."""
    single: bool = False
    """One file, with the manifest in its header."""


@dataclass(frozen=True, kw_only=True)
class AgentSpec:
    """An agent to make."""

    name: str
    description: str = ""
    model: str = "scripted:demo"
    """A model as `provider:name`, or a name of models.yaml."""
    instructions: str = ""
    """What it is told; empty means an example."""
    tools: tuple[str, ...] = ("files",)
    """Catalog tools, patterns, or whole servers."""
    agents: tuple[str, ...] = ()
    """Agents that it may use as tools."""
    long_term: bool = False
    """Whether it remembers beyond a conversation."""
    steps: int = 25
    """Most requests to the model."""


@dataclass(frozen=True, kw_only=True)
class PolicySpec:
    """A policy to make."""

    name: str
    description: str = ""
    base: str = "default"
    """The shipped policy that it builds on; empty for none."""
    allow: tuple[str, ...] = ()
    """Catalog tools, or patterns, that run unasked."""
    ask: tuple[str, ...] = ()
    """Those that a person is asked about each time."""
    deny: tuple[str, ...] = ()
    """Those that never run."""


PartSpec = PluginSpec | AgentSpec | PolicySpec


def render_part(spec: PartSpec, *, extra_templates: Iterable[Path] = ()) -> dict[str, str]:
    """Return the files of a plugin, an agent or a policy: path → text.

    Args:
        spec: What is wanted.
        extra_templates: Folders whose templates replace or add to the shipped ones.

    Raises:
        GeneratorError: A name, a pattern or a template is wrong.
    """
    if not _NAME.fullmatch(spec.name):
        raise GeneratorError(f"{spec.name[:60]!r} is no name: a-z, 0-9, '-' and '_', up to 32.")
    kind, more = _values(spec)
    given = {key: value for key, value in asdict(spec).items() if key != "description"}
    values = {**given, **more, "description": one_line(spec.description, 300) or more["otherwise"]}
    return render(load_templates([TEMPLATES / kind, *extra_templates]), values)


def check_pattern(pattern: str) -> str | None:
    """Return what is wrong with a tool's name or pattern, None if nothing is."""
    if _PATTERN.fullmatch(pattern):
        return None
    return f"{pattern[:60]!r} is no tool or pattern, such as files__read_text or search__*."


def _values(spec: PartSpec) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, PluginSpec):
        _check(spec.calls)
        return "plugin", {"otherwise": "Counts the words of a text.", "examples": _examples(spec)}
    if isinstance(spec, AgentSpec):
        _check((*spec.tools, *spec.agents))
        return "agent", {"otherwise": "What it is good for, in one sentence."}
    return "policy", {"otherwise": "Rules of mine.", **_rules(spec)}


def _rules(spec: PolicySpec) -> dict[str, Any]:
    """Return the rules of a policy, and the exceptions to what it builds on that they need."""
    if spec.base and spec.base not in BASES:
        raise GeneratorError(
            f"No policy {spec.base[:60]!r} comes with the host; there are {', '.join(BASES)}."
        )
    actions = {"allow": spec.allow, "ask": spec.ask, "deny": spec.deny}
    tools = {action: tuple(map(_widened, some)) for action, some in actions.items()}
    _check(said := [one for some in tools.values() for one in some])
    for twice in sorted({one for one in said if said.count(one) > 1}):
        raise GeneratorError(f"{twice!r} is named twice; say once what happens to it.")
    rules = [
        {"name": name, "action": action, "because": because, "tools": tools[action]}
        | {"cases": [case for pattern in tools[action] if (case := case_of(pattern))]}
        for name, action, because in (
            ("mine-run", "allow", "these tools were found harmless"),
            ("mine-ask", "ask", "a person looks at each of these calls"),
            ("mine-never", "deny", "these tools are not used here"),
        )
        if tools[action]
    ]
    exceptions = {
        rule: [*tools["allow"], *(tools["ask"] if does == "deny" else ())]
        for rule, does in _IN_THE_WAY.get(spec.base, {}).items()
    }
    return {"rules": rules, "exceptions": {key: some for key, some in exceptions.items() if some}}


def _widened(pattern: str) -> str:
    """Return a pattern of catalog names: a server alone means all its tools."""
    alone = re.fullmatch(r"[A-Za-z0-9_-]+", pattern) and "__" not in pattern
    return f"{pattern}__*" if alone else pattern


def case_of(pattern: str) -> str | None:
    """Return a name of the form `server__tool` that a pattern fits, None if none was found."""
    name = pattern.replace("*", "x").replace("?", "x")
    tried = (name, f"{name}__x", f"x__{name}")
    return next((one for one in tried if "__" in one and fnmatchcase(one, pattern)), None)


def _check(patterns: Iterable[str]) -> None:
    for pattern in patterns:
        if problem := check_pattern(pattern):
            raise GeneratorError(problem)


def _examples(spec: PluginSpec) -> list[dict[str, Code | str]]:
    """Return an example function for each tool that is named in full and is a name of Python's."""
    taken, found = {"count_words", "keep", "kept"}, list[dict[str, Code | str]]()
    for tool in spec.calls:
        if tool.isidentifier() and not tool.startswith("_"):
            name = unique(identifier(f"use {tool}"), taken)
            taken.add(name)
            found.append({"function": name, "tool": tool})
    return found
