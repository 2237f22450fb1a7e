"""Renders a folder of templates: values in, the text of files out.

A template's first line names its file: `{# file: src/[package]/server.py #}`. A name in brackets
stands for a value; `[tool]` or `[group]` makes one file for each of them. `{# partial: NAME #}`
makes no file and is there to be included. A value is written as a literal of the file's language
wherever a template names it, so text from outside cannot become code; what a template means as
source goes through `name` or another of the filters.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from generator import literal
from generator.errors import GeneratorError

TEMPLATES = Path(__file__).with_name("templates")
_HEADER = re.compile(r"\{#-? (file|partial): (\S+) -?#\}\r?\n?")
_BRACKETS = re.compile(r"\[(\w+)\]")
_PART = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Template:
    """One template: where its text is from, and the path of the file it makes."""

    origin: str
    target: str
    text: str
    partial: bool = False
    """Whether it is there to be included only; `target` is its name then."""


def load_templates(folders: Iterable[Path]) -> list[Template]:
    """Read the templates of some folders; one in a later folder replaces one for the same file.

    Raises:
        GeneratorError: A folder is missing or a template cannot be read.
    """
    found: dict[str, Template] = {}
    for folder in folders:
        if not folder.is_dir():
            raise GeneratorError(f"There is no folder of templates at {folder}.")
        for file in sorted(folder.rglob("*.j2")):
            try:
                text = file.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise GeneratorError(f"The template {file} cannot be read: {error}.") from error
            header = _HEADER.match(text)
            relative = file.relative_to(folder).as_posix().removesuffix(".j2")
            target = header[2] if header else relative
            partial = header is not None and header[1] == "partial"
            body = text[header.end() :] if header else text
            found[target] = Template(str(file), target, body, partial)
    return list(found.values())


def render(templates: Iterable[Template], values: Mapping[str, Any]) -> dict[str, str]:
    """Return the files: path → text. A template that renders to nothing makes no file.

    Args:
        templates: What to render.
        values: What templates name; `groups` and `tools` are sequences that `[group]` and
            `[tool]` go through, each with a `file` that is a legal name.

    Raises:
        GeneratorError: A template is wrong, or a path would leave the project or clash.
    """
    templates = list(templates)
    partials = {one.target: one.text for one in templates if one.partial}
    files: dict[str, str] = {}
    lower: dict[str, str] = {}
    for template in templates:
        if template.partial:
            continue
        for scope in _scopes(template, values):
            path = _path(template, scope)
            text = _render(template, path, scope, partials=partials)
            if not text.strip():
                continue
            if path.lower() in lower:
                raise GeneratorError(f"Two templates make the file {path}.")
            lower[path.lower()] = path
            files[path] = text.strip("\n") + "\n"
    return dict(sorted(files.items()))


def _scopes(template: Template, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key, plural in (("group", "groups"), ("tool", "tools")):
        if f"[{key}]" in template.target:
            items: Sequence[Any] = values[plural]
            for item in items:
                yield {**values, key: item}
            return
    yield dict(values)


def _path(template: Template, scope: Mapping[str, Any]) -> str:
    def fill(match: re.Match[str]) -> str:
        value = scope.get(match[1])
        text = value if isinstance(value, str) else getattr(value, "file", None)
        if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", text):
            raise GeneratorError(f"{template.origin}: [{match[1]}] is no name for a file.")
        return text

    path = _BRACKETS.sub(fill, template.target)
    check_path(path)
    return path


def check_path(path: str) -> None:
    """Refuse a path that leaves the project or that some file system cannot hold.

    Raises:
        GeneratorError: It is absolute, has `..` in it, or an unusual character.
    """
    parts = PurePosixPath(path).parts
    if not parts or any(not _PART.fullmatch(p) or set(p) == {"."} for p in parts):
        raise GeneratorError(f"{path[:200]!r} is not a path inside the project.")


def _render(
    template: Template, path: str, scope: Mapping[str, Any], *, partials: Mapping[str, str]
) -> str:
    environment = SandboxedEnvironment(
        loader=jinja2.DictLoader(partials),
        finalize=literal.writer_for(path),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Any] = cast("Any", environment).filters
    filters.update(
        {
            "name": literal.name,
            "python": literal.python,
            "docstring": literal.docstring,
            "json": literal.json_text,
            "line": literal.one_line,
            "plain": literal.plain,
            "code": literal.Code,
            "comment": literal.comment,
            "word": literal.word,
            "tuple": tuple,
        }
    )
    try:
        return environment.from_string(template.text).render(scope)
    except jinja2.TemplateError as error:
        raise GeneratorError(f"The template {template.origin} is wrong: {error}.") from error
