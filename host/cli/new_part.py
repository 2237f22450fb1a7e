"""`host new-plugin | new-agent | new-policy`: files of the host's own, by questions or by flags."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from host.cli.new_server import asks, ended_plainly, said_plainly
from host.domain.shell import quoted

if TYPE_CHECKING:
    from generator.part import AgentSpec, PartSpec

NAME = typer.Argument("", help="Its name; asked for without one.")
DESCRIPTION = typer.Option("", help="What it is for, in a sentence.")
TEMPLATES = typer.Option(None, help="Folder of templates of yours, over the shipped ones.")
YES = typer.Option(False, "--yes", "-y", help="Ask nothing.")
Spec = TypeVar("Spec", bound="PartSpec")


def register(root: typer.Typer) -> None:
    """Add `host new-plugin`, `host new-agent` and `host new-policy`."""
    root.command("new-plugin")(new_plugin)
    root.command("new-agent")(new_agent)
    root.command("new-policy")(new_policy)


def new_plugin(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    name: str = NAME,
    description: str = DESCRIPTION,
    call: list[str] | None = typer.Option(
        None, help="A catalog tool or pattern that it may call; may be repeated."
    ),
    state: bool = typer.Option(False, "--state", help="It keeps values between calls."),
    single: bool = typer.Option(False, "--single", help="One file, the manifest in its header."),
    folder: Path | None = typer.Option(None, help="Where to put it; your plugins' folder."),
    templates: list[Path] | None = TEMPLATES,
    yes: bool = YES,
) -> None:
    """Write a plugin that works, with tests, to be changed into something useful."""
    from generator.part import PluginSpec
    from generator.write import add_files, write_project

    place = folder or _home() / "plugins"
    spec = PluginSpec(
        name=name, description=description, calls=tuple(call or ()), state=state, single=single
    )
    with said_plainly(), ended_plainly():
        spec = _asked(spec, place, yes=yes)
        files = _render(spec, templates)
        if single:
            written = add_files(place, files)
        else:
            _refuse_there([place / f"{spec.name}.py"])
            write_project(place / spec.name, files, instead="Choose another name.")
            written = [place / spec.name / path for path in files]
    for file in written:
        print(f"wrote {file}")
    print(f"Next: `host plugins test {spec.name}`, then `host plugins install --editable", end=" ")
    print(f"{spec.name}`.")


def new_agent(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    name: str = NAME,
    description: str = DESCRIPTION,
    model: str = typer.Option("scripted:demo", help="The model it runs on, as provider:name."),
    instructions: str = typer.Option("", help="What it is told; a Jinja2 template."),
    tool: list[str] | None = typer.Option(
        None, help="A catalog tool, pattern or server; may be repeated. `files` without any."
    ),
    agent: list[str] | None = typer.Option(None, help="An agent that it may use as a tool."),
    long_term: bool = typer.Option(False, "--long-term", help="It remembers beyond one talk."),
    steps: int = typer.Option(25, min=1, max=10_000, help="Most requests to the model."),
    folder: Path | None = typer.Option(None, help="Where to put it; your agents' folder."),
    templates: list[Path] | None = TEMPLATES,
    yes: bool = YES,
) -> None:
    """Write a commented file for an agent of your own."""
    from generator.part import AgentSpec

    spec = AgentSpec(
        name=name,
        description=description,
        model=model,
        instructions=instructions,
        tools=tuple(tool or ("files",)),
        agents=tuple(agent or ()),
        long_term=long_term,
        steps=steps,
    )
    place = folder or _home() / "agents"
    file, spec = _add(spec, place, templates=templates, yes=yes, check=_check_model)
    print(f'wrote {file}\nTry it: host run {spec.name} "Hello"')


def new_policy(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    name: str = NAME,
    description: str = DESCRIPTION,
    base: str = typer.Option("default", help="The shipped policy that it builds on."),
    allow: list[str] | None = typer.Option(None, help="A tool or pattern that runs unasked."),
    ask: list[str] | None = typer.Option(None, help="One that is asked about each time."),
    deny: list[str] | None = typer.Option(None, help="One that never runs."),
    folder: Path | None = typer.Option(None, help="Where to put it; your policies' folder."),
    templates: list[Path] | None = TEMPLATES,
    yes: bool = YES,
) -> None:
    """Write a policy of your own with its test cases; in your policies' folder it holds at once."""
    from generator.part import PolicySpec

    spec = PolicySpec(
        name=name,
        description=description,
        base=base,
        allow=tuple(allow or ()),
        ask=tuple(ask or ()),
        deny=tuple(deny or ()),
    )
    file, _ = _add(spec, folder or _home() / "policies", templates=templates, yes=yes)
    name = quoted(file)
    print(f"wrote {file}\nNext: `host policy check {name}`, `host policy test {name}`.")


def _home() -> Path:
    from host.config.paths import user_paths

    return user_paths().config


def _check_model(spec: "AgentSpec") -> None:
    """Return if an agent's model exists.

    Raises:
        ScaffoldError: It does not.
    """
    from host.config.paths import user_paths
    from host.domain.errors import HostError, ScaffoldError
    from host.models.models import Models

    try:
        Models.load(user_paths(), os.environ).check_name(spec.model)
    except HostError as error:
        raise ScaffoldError(error.message, next_step=error.next_step) from error


def _add(
    spec: Spec,
    place: Path,
    *,
    templates: Sequence[Path] | None,
    yes: bool,
    check: Callable[[Spec], None] = lambda spec: None,
) -> tuple[Path, Spec]:
    """Write a part that is one file; return it and what was made.

    Args:
        spec: What is wanted.
        place: The folder.
        templates: Folders of templates over the shipped ones.
        yes: Whether nothing is asked.
        check: Refuses what cannot be used, before it is written.
    """
    from generator.write import add_files

    with said_plainly(), ended_plainly():
        spec = _asked(spec, place, yes=yes)
        check(spec)
        written = add_files(place, _render(spec, templates))
    return written[0], spec


def _render(spec: "PartSpec", templates: Sequence[Path] | None) -> dict[str, str]:
    from generator.part import render_part
    from host.config.names import check_name
    from host.domain.errors import ScaffoldError

    if problem := check_name(spec.name):
        raise ScaffoldError(problem)
    return render_part(spec, extra_templates=templates or ())


def _asked(spec: Spec, place: Path, *, yes: bool) -> Spec:
    """Ask for what flags left open, where a person is there to answer."""
    from host.domain.errors import ScaffoldError

    if asks(yes=yes or bool(spec.name)):
        from host.cli.part_wizard import ask_part

        return ask_part(spec, _taken_in(place))
    if not spec.name:
        raise ScaffoldError("It needs a name.", next_step="Give one as the first word.")
    return spec


def _taken_in(place: Path) -> Callable[[str], str | None]:
    def taken(name: str) -> str | None:
        there = any((place / f"{name}{end}").exists() for end in ("", ".py", ".yaml"))
        return f"{place / name} is there already" if there else None

    return taken


def _refuse_there(files: Sequence[Path]) -> None:
    from host.domain.errors import ScaffoldError

    for file in files:
        if file.exists():
            raise ScaffoldError(
                f"{file} exists already, and nothing is overwritten.",
                next_step="Choose another name.",
            )
