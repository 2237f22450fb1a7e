"""`host prompts`: list, show and fill in the prompts of the library."""

from typing import TYPE_CHECKING

import typer

from host.cli.client import show_json
from host.cli.config import JSON_OPTION
from host.domain.errors import ConfigError

if TYPE_CHECKING:
    from host.prompts.library import PromptLibrary

REFERENCE = typer.Argument(help="The prompt, as `name` or `name@version`.")


def register(root: typer.Typer) -> None:
    """Add `prompts`."""
    app = typer.Typer(help="The prompt library.", no_args_is_help=True)
    app.command("list")(list_prompts)
    app.command()(show)
    app.command()(render)
    root.add_typer(app, name="prompts")


def list_prompts(as_json: bool = JSON_OPTION) -> None:
    """Print all prompts with their present versions."""
    library = _library()
    found = [library.get(name) for name in library.names()]
    if as_json:
        rows = [
            {"name": one.name, "version": one.version, "title": one.title, "file": str(one.file)}
            for one in found
        ]
        print(show_json(rows))
        return
    for one in found:
        print(f"{one.name}@{one.version}  {one.title}")
    if not found:
        print("No prompts. Write one as prompts/NAME.md in the configuration folder.")


def show(reference: str = REFERENCE, as_json: bool = JSON_OPTION) -> None:
    """Print a prompt, the values it asks for, and its versions."""
    library = _library()
    prompt = library.get(reference)
    versions = library.versions(prompt.name)
    if as_json:
        body = {"name": prompt.name, "version": prompt.version, "text": prompt.text}
        print(show_json({**body, "arguments": prompt.arguments, "versions": versions}))
        return
    print(f"{prompt.name}@{prompt.version}  values: {', '.join(prompt.arguments) or 'none'}")
    print(f"versions: {', '.join(versions)}\n\n{prompt.text}")


def render(
    reference: str = REFERENCE,
    value: list[str] = typer.Option([], "--set", help="A value, as name=text; repeatable."),
) -> None:
    """Print a prompt with values filled in."""
    values: dict[str, object] = {}
    for one in value:
        name, equals, text = one.partition("=")
        if not equals:
            raise ConfigError(f"{one!r} is not a value.", next_step="Write --set name=text.")
        values[name] = text
    print(_library().get(reference).render(values))


def _library() -> "PromptLibrary":
    from host.agents.agents import prompt_library
    from host.config.paths import user_paths

    return prompt_library(user_paths())
