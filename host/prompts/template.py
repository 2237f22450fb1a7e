"""Renders prompt templates in a sandbox: a template gets values, and reaches nothing else."""

from collections.abc import Mapping
from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from host.domain.errors import ConfigError

LONGEST = 262_144
"""Characters that a rendered prompt may have."""


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    # No loader: a template cannot include files. Undefined names are errors, not empty texts.
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=False,
    )
    # A loop over a large range or a long text repeated would hold up every run of the host.
    environment.globals.pop("lipsum", None)
    return environment


@lru_cache(maxsize=256)
def _compiled(text: str) -> Template:
    """Return a template ready to be filled in; compiling one costs a hundred times as much."""
    return _environment().from_string(text)


def is_plain(text: str) -> bool:
    """Return whether a text has nothing to fill in, so that it is what it becomes."""
    return len(text) <= LONGEST and "{" not in text and "\r" not in text


def render_template(text: str, values: Mapping[str, object], *, name: str = "prompt") -> str:
    """Return a template with its values filled in.

    Args:
        text: Jinja2 text.
        values: What its names mean.
        name: For messages.

    Raises:
        ConfigError: It is no template, needs a value that is not there, or became too long.
    """
    try:
        parts: list[str] = []
        size = 0
        for part in _compiled(text).generate(**values):
            size += len(part)
            if size > LONGEST:
                raise ConfigError(f"The prompt {name!r} is over {LONGEST:,} characters long.")
            parts.append(part)
    except (TemplateError, ArithmeticError, TypeError, ValueError) as error:
        raise ConfigError(
            f"The prompt {name!r} cannot be rendered: {error}.",
            next_step="Check its braces and the values given.",
        ) from error
    return "".join(parts).strip()


def names_in(text: str, *, name: str = "prompt") -> list[str]:
    """Return the values that a template asks for, in alphabetical order.

    Raises:
        ConfigError: It is no template.
    """
    try:
        return sorted(meta.find_undeclared_variables(_environment().parse(text)))
    except TemplateError as error:
        raise ConfigError(
            f"The prompt {name!r} is not a template: {error}.", next_step="Check its braces."
        ) from error
