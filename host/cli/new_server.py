"""`host new-server`: a new MCP server's project, by questions or by flags."""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from host.cli.config import CONFIG_OPTION

if TYPE_CHECKING:
    from collections.abc import Generator

    from generator.answers import Answers
    from generator.spec import ServerSpec


def register(root: typer.Typer) -> None:
    """Add `host new-server`."""
    root.command("new-server")(new_server)


def new_server(  # noqa: PLR0913 - each is an option of the command line
    words: list[str] | None = typer.Argument(
        None, metavar="[NAME] [SOURCE]", help="Name of the project; what --from reads."
    ),
    *,
    kind: str | None = typer.Option(
        None, "--from", help="blank, openapi, python, cli, database or curl."
    ),
    folder: Path | None = typer.Option(
        None, "--folder", help="Where the project is made; ./NAME without it."
    ),
    description: str = typer.Option("", help="What the server is for, in a sentence."),
    transport: str | None = typer.Option(None, help="stdio or http."),
    auth: str | None = typer.Option(None, help="none, bearer or oauth (for http)."),
    feature: list[str] | None = typer.Option(
        None, help="lifespan, elicitation or tasks; may be repeated."
    ),
    tag: list[str] | None = typer.Option(None, help="OpenAPI: only operations with this tag."),
    only: list[str] | None = typer.Option(
        None, help="Only operations, tables or subcommands like this (`GET /pets*`)."
    ),
    base_url: str = typer.Option("", help="HTTP: address of the service, if not the document's."),
    templates: list[Path] | None = typer.Option(
        None, help="Folder of templates of yours, over the shipped ones."
    ),
    yes: bool = typer.Option(False, "--yes", "-y", help="Ask nothing."),
    register_it: bool = typer.Option(False, "--register", help="Add it to host.yaml, too."),
    update: bool = typer.Option(
        False, "--update", help="Merge newer templates or a newer document into NAME, a project."
    ),
    config: Path | None = CONFIG_OPTION,
) -> None:
    """Make a project for a new MCP server: its own tests, types and pages, ready to run."""
    given = words or []
    with said_plainly():
        if update:
            _update(Path(given[0] if given else "."), " ".join(given[1:]), templates or [])
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
        if asks(yes=yes):
            from host.cli.wizard import ask_answers

            with ended_plainly():
                answers = ask_answers(answers, asked_for=kind is not None, folder=folder)
        spec, project = _make(answers, folder, templates or [])
        if register_it:
            from host.cli.registration import register_server

            file = register_server(spec.name, project, spec=spec, config=config)
            print(f"Added {spec.name} to {file}.")
    print(f"Next: cd {project} && pip install --editable . --group dev && pytest")


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
    answers: "Answers", folder: Path | None, templates: list[Path]
) -> "tuple[ServerSpec, Path]":
    from dataclasses import replace

    from generator.answers import check_answers
    from generator.project import RECORD, record_of, render_server
    from generator.write import write_project
    from host import __version__

    check_answers(answers)
    spec = read_spec(answers)
    answers = replace(answers, name=spec.name)
    files = render_server(spec, extra_templates=templates)
    record = record_of(files, answers.as_record(), version=__version__)
    project = folder or Path(spec.name)
    write_project(project, {**files, RECORD: record})
    number = len(spec.tools)
    print(f"Made {spec.name} in {project}: {number} tool{'s' * (number != 1)}.")
    for note in spec.source.notes:
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
    from generator.update import update_project
    from host import __version__

    record = read_record(project)
    answers = from_record(record.answers)
    if where or not answers.where:
        from dataclasses import replace

        answers = replace(answers, where=where or _needed(answers))
    spec = read_spec(answers)
    files = render_server(spec, extra_templates=templates)
    text = record_of(files, answers.as_record(), version=__version__)
    outcome = update_project(project, record.files, files)
    (project / RECORD).write_text(text, "utf-8")
    for path, change in outcome.changes.items():
        print(f"{change:<10} {path}")
    if outcome.conflicts:
        print(f"{len(outcome.conflicts)} files have conflicts, marked <<<<<<< in them.")
        raise typer.Exit(1)
    print("Everything is up to date." if not outcome.changes else "Merged.")


def _needed(answers: "Answers") -> str:
    from generator.answers import EXAMPLES
    from generator.errors import GeneratorError

    if answers.kind == "blank":
        return ""
    raise GeneratorError(
        "The project does not keep its source, since it may hold a secret or a path.",
        next_step=f"Give it again: `host new-server --update FOLDER '{EXAMPLES[answers.kind]}'`.",
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
