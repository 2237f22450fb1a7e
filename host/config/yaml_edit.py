"""Edits of YAML files that people wrote: one entry comes or goes, comments and layout stay."""

import re
from collections.abc import Callable
from typing import Any, cast

import yaml
from typing_extensions import override

from host.config.jsonc import remove_json, set_json
from host.config.yaml import Json, as_mapping, parse_yaml, plain_value
from host.domain.errors import ConfigError

_BY_HAND = "Make the change by hand, or write the block one entry per line."


class _Dumper(yaml.SafeDumper):
    """Writes lists indented, and text with any kind of line end escaped on one line."""

    @override
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(_: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = _LINE_END.search(text) or plain_value(text) != text
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_LINE_END = re.compile("[\n\r\x85\u2028\u2029]")
_Dumper.add_representer(str, _represent_text)


def set_yaml(text: str, block: str, name: str, *, entry: Json) -> str:
    """Return the text with an entry added to, or replaced in, a block at the top of the file.

    Args:
        text: The file.
        block: Key at the top, such as `servers`; created at the end if it is missing.
        name: Key of the entry.
        entry: Its content.

    Raises:
        ConfigError: The file is not YAML, or is written in a way that cannot be edited safely.
    """
    before = _mapping(text)
    inner = as_mapping(before.get(block)) or {}
    wanted = {**before, block: {**inner, name: entry}}
    if text.lstrip().startswith("{"):
        return set_json(text, (block, name), entry)
    bare = remove_yaml(text, block, name) if name in inner else text
    return _checked(_insert(bare, block, name, entry=entry), wanted)


def remove_yaml(text: str, block: str, name: str) -> str:
    """Return the text without an entry; if it is not there, the text as it is.

    Raises:
        ConfigError: The file is not YAML, or is written in a way that cannot be edited safely.
    """
    before = _mapping(text)
    inner = as_mapping(before.get(block)) or {}
    if name not in inner:
        return text
    if text.lstrip().startswith("{"):
        return remove_json(text, (block, name))
    wanted = {**before, block: {key: value for key, value in inner.items() if key != name}}
    return _checked(_remove(text, block, name), wanted)


def _mapping(text: str) -> dict[str, Json]:
    value = parse_yaml(text).value
    mapping = {} if value is None else as_mapping(value)
    if mapping is None:
        raise ConfigError("The file is not a mapping, so nothing can be added to it.")
    return mapping


def _checked(text: str, wanted: Json) -> str:
    try:
        same = parse_yaml(text).value == wanted
    except ConfigError:
        same = False
    if not same:
        raise ConfigError(
            "The file is written in a way that cannot be edited safely.", next_step=_BY_HAND
        )
    return text


def _pairs(text: str) -> list[tuple[Any, Any]]:
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    return list(cast("list[tuple[Any, Any]]", root.value)) if root is not None else []


def _find(pairs: list[tuple[Any, Any]], key: str) -> tuple[Any, Any] | None:
    return next((pair for pair in pairs if pair[0].value == key), None)


def _last_line(node: Any) -> int:  # noqa: ANN401 - PyYAML's nodes are untyped
    """Return the index of the last line of a node, blank and comment lines left out."""
    if isinstance(node, yaml.ScalarNode):
        end: Any = node.end_mark
        # A block scalar (`|`) ends where the next line begins.
        return int(end.line) - 1 if end.column == 0 and end.line else int(end.line)
    flow = bool(getattr(node, "flow_style", False))
    children: list[Any] = cast("list[Any]", node.value)
    if flow or not children:
        return int(node.end_mark.line)
    last = children[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)


def _dump(name: str, entry: Json, *, column: int) -> list[str]:
    text = yaml.dump(
        {name: entry},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=1_000,
    )
    return [f"{' ' * column}{line}" for line in text.removesuffix("\n").split("\n")]


def _edit(text: str, change: Callable[[list[str]], None]) -> str:
    # Not splitlines: it also breaks at characters that are no line ends in YAML.
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.removesuffix(newline).split(newline) if text else []
    change(lines)
    return newline.join(lines) + newline


def _insert(text: str, block: str, name: str, *, entry: Json) -> str:
    found = _find(_pairs(text), block)
    if found is None:
        return _edit(text, lambda lines: lines.extend([f"{block}:", *_dump(name, entry, column=2)]))
    key, value = found
    children = cast("list[tuple[Any, Any]]", value.value) if _is_mapping(value) else []
    if not children:
        return _edit(text, lambda lines: _fill(lines, key.start_mark.line, name, entry))
    if value.flow_style:
        raise ConfigError(f"The block {block!r} is written in braces.", next_step=_BY_HAND)
    column, after = children[0][0].start_mark.column, _last_line(value) + 1
    added = _dump(name, entry, column=column)
    return _edit(text, lambda lines: lines.__setitem__(slice(after, after), added))


def _is_mapping(node: Any) -> bool:  # noqa: ANN401 - PyYAML's nodes are untyped
    return isinstance(node, yaml.MappingNode)


def _fill(lines: list[str], at: int, name: str, entry: Json) -> None:
    lines[at] = re.sub(r":\s*(?:\{\s*\}|null|~)?(?=\s*(?:#|$))", ":", lines[at], count=1)
    lines[at + 1 : at + 1] = _dump(name, entry, column=2)


def _remove(text: str, block: str, name: str) -> str:
    found = _find(_pairs(text), block)
    children = cast("list[tuple[Any, Any]]", found[1].value) if found else []
    pair = _find(children, name)
    if found is None or pair is None or found[1].flow_style:
        raise ConfigError(f"The block {block!r} is written in braces.", next_step=_BY_HAND)
    first, last = pair[0].start_mark.line, _last_line(pair[1])

    def change(lines: list[str]) -> None:
        del lines[first : last + 1]
        if len(children) == 1:
            at = int(found[0].start_mark.line)
            lines[at] = re.sub(r":(?=\s*(?:#|$))", ": {}", lines[at], count=1)

    return _edit(text, change)
