"""Reads the source of a server, whichever kind it is."""

from generator.answers import Answers, package_of
from generator.errors import GeneratorError
from generator.naming import project_name
from generator.sources.blank import read_blank
from generator.spec import Source


def read_source(answers: Answers, text: str = "") -> Source:
    """Return the source that answers name.

    Args:
        answers: What was answered.
        text: The OpenAPI document; other kinds are read from where they are.

    Raises:
        GeneratorError: It cannot be read.
    """
    if answers.kind == "openapi":
        from generator.sources.document import parse_document  # noqa: PLC0415 - each kind is heavy
        from generator.sources.openapi import Selection, read_openapi  # noqa: PLC0415

        document = parse_document(text, name=answers.where)
        address = answers.where if "://" in answers.where else ""
        return read_openapi(
            document, address=address, selection=Selection(answers.tags, answers.only)
        )
    if answers.kind == "blank":
        return read_blank()
    if answers.kind == "curl":
        from generator.sources.curl import read_curl  # noqa: PLC0415

        return read_curl(answers.where)
    if answers.kind == "cli":
        from generator.sources.command import read_command  # noqa: PLC0415

        return read_command(answers.where, answers.only)
    if answers.kind == "database":
        from generator.sources.tables import read_tables  # noqa: PLC0415

        return read_tables(answers.where, answers.only)
    if answers.kind == "python":
        from generator.sources.functions import read_functions  # noqa: PLC0415

        name = answers.name or project_name(stem_of(answers.where))
        return read_functions(answers.where, package_of(answers, name))
    raise GeneratorError(f"The source {answers.kind!r} cannot be read.")


def stem_of(where: str) -> str:
    """Return the last part of a module's or file's name, without the functions named after it."""
    target = where if where.endswith(".py") else where.rpartition(":")[0] or where
    if target.endswith(".py"):
        return target.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    return target.rpartition(".")[2]
