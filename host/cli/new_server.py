"""`host new-server`: a new MCP server's project, by questions or by flags."""

import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from host.cli.config import CONFIG_OPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from generator.answers import Answers
    from generator.spec import ServerSpec


def register(root: typer.Typer) -> None:
    """Add `host new-server`."""
    root.command("new-server")(new_server)


WORDS = typer.Argument(
    None, metavar="[NAME] [SOURCE]", help="Name of the project; what --from reads."
)
KIND = typer.Option(None, "--from", help="blank, openapi, python, cli, database or curl.")
FOLDER = typer.Option(None, "--folder", help="Where the project is made; ./NAME without it.")
DESCRIPTION = typer.Option("", help="What the server is for, in a sentence.")
TRANSPORT = typer.Option(None, help="stdio or http.")
AUTH = typer.Option(None, help="none, bearer or oauth (for http).")
FEATURE = typer.Option(None, help="lifespan, elicitation or tasks; may be repeated.")
TAG = typer.Option(None, help="OpenAPI: only operations with this tag.")
ONLY = typer.Option(None, help="Only operations, tables or subcommands like this (`GET /pets*`).")
BASE_URL = typer.Option("", help="HTTP: address of the service, if not the document's.")
TEMPLATES = typer.Option(None, help="Folder of templates of yours, over the shipped ones.")
YES = typer.Option(False, "--yes", "-y", help="Ask nothing.")
REGISTER = typer.Option(False, "--register", help="Add it to host.yaml, too.")
UPDATE = typer.Option(
    False, "--update", help="Merge newer templates or a newer document into NAME, a project."
)


def new_server(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    words: list[str] | None = WORDS,
    kind: str | None = KIND,
    folder: Path | None = FOLDER,
    description: str = DESCRIPTION,
    transport: str | None = TRANSPORT,
    auth: str | None = AUTH,
    feature: list[str] | None = FEATURE,
    tag: list[str] | None = TAG,
    only: list[str] | None = ONLY,
    base_url: str = BASE_URL,
    templates: list[Path] | None = TEMPLATES,
    yes: bool = YES,
    register_it: bool = REGISTER,
    update: bool = UPDATE,
    config: Path | None = CONFIG_OPTION,
) -> None:
    """Make a project for a new MCP server: its own tests, types and pages, ready to run."""
    given = words or []
    with said_plainly():
        if update:
            others = {"--from": kind, "--folder": folder, "--description": description}
            others |= {"--transport": transport, "--auth": auth, "--feature": feature}
            _refuse_given(others | {"--tag": tag, "--only": only, "--base-url": base_url})
            project = Path(given[0] if given else ".")
            _update(project, " ".join(given[1:]), templates or [])
            if register_it:
                _register_again(project, config)
            return
        if register_it and kind is None and folder is None and _is_project(given):
            _register_again(Path(given[0]), config)
            return
        from generator.answers import Answers

        name, where = _split(given, kind)
        answers = Answers(
            kind=kind or "blank",  # type: ignore[arg-type] - checked before it is used
            where=where,
            name=name,
            description=description,
            transport=transport or "stdio",  # type: ignore[arg-type]
            auth=auth or "none",  # type: ignore[arg-type]
            features=tuple(dict.fromkeys(feature or [])),
            tags=tuple(tag or []),
            only=tuple(only or []),
            base_url=base_url,
        )
        answers = _asked(answers, kind=kind, folder=folder, yes=yes)
        check = partial(_refuse_registered, config, folder) if register_it else _allow
        spec, project = _make(answers, folder, templates or [], check=check)
        if register_it:
            from host.cli.registration import project_of, register_project

            print(register_project(project_of(spec, project), config))
    _say_next(spec, project, registered=register_it)


def _refuse_given(options: "Mapping[str, object]") -> None:
    """Refuse options that an update would not look at."""
    from generator.errors import GeneratorError

    if given := [option for option, value in options.items() if value]:
        raise GeneratorError(
            f"--update makes a project as it was made, and does not look at {', '.join(given)}.",
            next_step="Leave them out: `host new-server --update FOLDER [SOURCE]`.",
        )


def _say_next(spec: "ServerSpec", project: Path, *, registered: bool) -> None:
    if not registered or spec.transport == "http":
        print(f"Next: cd {project} && pip install --upgrade pip", end=" ")
        print("&& pip install --editable . --group dev && pytest")
        return
    print("The host starts it with its own environment, which this makes:")
    print(
        f"Next: cd {project} && python3 -m venv .venv && .venv/bin/pip install --upgrade pip",
        end=" ",
    )
    print("&& .venv/bin/pip install --editable . --group dev && .venv/bin/pytest")


def _asked(answers: "Answers", *, kind: str | None, folder: Path | None, yes: bool) -> "Answers":
    if not asks(yes=yes):
        return answers
    from host.cli.wizard import ask_answers

    with ended_plainly():
        return ask_answers(answers, asked_for=kind is not None, folder=folder)


def _allow(name: str) -> None:
    """Let a server have any name."""


def _refuse_registered(config: Path | None, folder: Path | None, name: str) -> None:
    """Refuse a name that another server has in host.yaml, before anything is written."""
    from host.cli.registration import refuse_other
    from host.cli.servers import target_file

    refuse_other(target_file(config), name, folder or Path(name))


def _is_project(given: list[str]) -> bool:
    from generator.project import RECORD

    return len(given) == 1 and (Path(given[0]) / RECORD).is_file()


def _register_again(folder: Path, config: Path | None) -> None:
    from host.cli.registration import own_python, read_project, register_project

    project = read_project(folder)
    print(register_project(project, config))
    if project.transport == "stdio" and not own_python(project.folder).exists():
        print(f"It starts once {folder} has a .venv: cd {folder} && python3 -m venv .venv", end=" ")
        print("&& .venv/bin/pip install --editable .")


def asks(*, yes: bool) -> bool:
    """Return whether a person is at the terminal to be asked."""
    return not yes and sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def ended_plainly() -> "Generator[None]":
    """End with status 130 where the person ends the questions."""
    try:
        yield
    except (KeyboardInterrupt, EOFError):
        print("Nothing was written.")
        raise typer.Exit(130) from None


def _split(given: list[str], kind: str | None) -> tuple[str, str]:
    """Return name and source: with one word and a kind that needs a source, it is the source."""
    if not given:
        return "", ""
    if len(given) == 1 and kind not in (None, "blank"):
        return "", given[0]
    return given[0], " ".join(given[1:])


def _make(
    answers: "Answers",
    folder: Path | None,
    templates: list[Path],
    *,
    check: "Callable[[str], None]",
) -> "tuple[ServerSpec, Path]":
    from dataclasses import replace

    from generator.answers import check_answers, check_options
    from generator.project import RECORD, record_of, render_server
    from generator.write import write_project
    from host import __version__

    check_answers(answers)
    check_options(answers)
    spec = read_spec(answers)
    check(spec.name)
    answers = replace(answers, name=spec.name)
    notes = list(spec.source.notes)
    files = render_server(spec, extra_templates=templates, say=notes.append)
    record = record_of(files, answers.as_record(), version=__version__)
    project = folder or Path(spec.name)
    instead = "Choose another name or folder; for a project that is there, "
    instead += "`host new-server --update FOLDER` or `--register FOLDER`."
    write_project(project, {**files, RECORD: record}, instead=instead)
    number = len(spec.tools) + len(spec.features)
    print(f"Made {spec.name} in {project}: {number} tool{'s' * (number != 1)}.")
    for note in notes:
        print(f"  {note}")
    return spec, project


def read_spec(answers: "Answers") -> "ServerSpec":
    """Read the source that answers name, and return what is to be made."""
    from generator.answers import spec_of
    from generator.sources.read import read_source
    from host.cli.fetch_document import read_text

    text = read_text(answers.where) if answers.kind == "openapi" else ""
    return spec_of(answers, read_source(answers, text))


def _update(project: Path, where: str, templates: list[Path]) -> None:
    from generator.answers import from_record
    from generator.project import RECORD, read_record, record_of, render_server
    from generator.update import open_conflicts, update_project
    from host import __version__

    record = read_record(project)
    answers = from_record(record.answers)
    # The record may be a stranger's: a command in it is not started, but has to be given again.
    if where or not answers.where or answers.kind == "cli":
        from dataclasses import replace

        answers = replace(answers, where=where or _needed(answers))
    spec = read_spec(answers)
    files = render_server(spec, extra_templates=templates, say=print)
    if unfinished := open_conflicts(project, {*files, *record.files}):
        print(f"Conflicts of an earlier update are open: {', '.join(unfinished)}.")
        print("Nothing was changed. Take the marks (<<<<<<< to >>>>>>>) out, then update again.")
        raise typer.Exit(1)
    text = record_of(files, answers.as_record(), version=__version__)
    outcome = update_project(project, record.files, files)
    (project / RECORD).write_text(text, "utf-8")
    for path, change in outcome.changes.items():
        print(f"{change:<10} {path}")
    if outcome.conflicts:
        number = len(outcome.conflicts)
        said = "1 file has" if number == 1 else f"{number} files have"
        print(f"{said} conflicts, marked <<<<<<< in the text.")
        raise typer.Exit(1)
    print("Everything is up to date." if not outcome.changes else "Merged.")


def _needed(answers: "Answers") -> str:
    from generator.answers import EXAMPLES
    from generator.errors import GeneratorError

    if answers.kind == "blank":
        return ""
    raise GeneratorError(
        "The source has to be named: a project keeps none that may hold a secret or a path, and "
        "no command of it is started.",
        next_step=f"For example: `host new-server --update FOLDER '{EXAMPLES[answers.kind]}'`.",
    )


@contextmanager
def said_plainly() -> "Generator[None]":
    """Turn what the generator finds wrong into an error of the host's."""
    from generator.errors import GeneratorError
    from host.domain.errors import ScaffoldError

    try:
        yield
    except GeneratorError as error:
        raise ScaffoldError(error.message, next_step=error.next_step) from error
