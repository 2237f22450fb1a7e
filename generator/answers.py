"""What a person answers about a new server, checked: the wizard and the flags both fill it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from generator.errors import GeneratorError
from generator.naming import is_taken_name, package_name, project_name
from generator.spec import AUTHS, FEATURES, TRANSPORTS, Auth, ServerSpec, Source, Transport

Kind = Literal["blank", "openapi", "python", "cli", "database", "curl"]
KINDS: tuple[Kind, ...] = ("blank", "openapi", "python", "cli", "database", "curl")

EXAMPLES: dict[Kind, str] = {
    "blank": "",
    "openapi": "https://example.com/openapi.json, or a file",
    "python": "package.module, package.module:one,two or file.py",
    "cli": "git log",
    "database": "sqlite:///shop.db or postgresql://user@localhost/shop",
    "curl": "curl -H 'Authorization: Bearer …' https://example.com/items",
}
"""What the source of each kind looks like."""


@dataclass(frozen=True)
class Answers:
    """What is to be made."""

    kind: Kind = "blank"
    where: str = ""
    """The document, module, command, address or curl line; empty for `blank`."""
    name: str = ""
    """The project's name; empty means one made from the source."""
    description: str = ""
    """One sentence; empty means the source's own."""
    transport: Transport = "stdio"
    auth: Auth = "none"
    features: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """OpenAPI: tags of the operations that are wanted."""
    only: tuple[str, ...] = ()
    """Patterns of operations, tables or subcommands that are wanted; empty means all."""
    base_url: str = ""
    """HTTP: address of the service instead of the document's."""

    def as_record(self) -> dict[str, Any]:
        """Return the answers for `.generator.json`: no secret, and no path of this machine."""
        return {
            "kind": self.kind,
            "where": shareable(self.kind, self.where),
            "name": self.name,
            "description": self.description,
            "transport": self.transport,
            "auth": self.auth,
            "features": sorted(self.features),
            "tags": list(self.tags),
            "only": list(self.only),
            "base_url": self.base_url,
        }


def shareable(kind: Kind, where: str) -> str:
    """Return a source as a project may keep it: empty where it may hold a secret or a path."""
    if kind in ("curl", "database"):
        return ""
    if kind == "openapi" and "://" in where:
        return "" if "@" in where or "?" in where else where
    if kind == "python" and where.partition(":")[0].endswith(".py"):
        return ""
    if re.search(r"(^|\s)(/|~|[A-Za-z]:[\\/]|\.\.)", where):
        return ""
    return where


def from_record(record: Mapping[str, Any]) -> Answers:
    """Return the answers that a project keeps.

    Raises:
        GeneratorError: They are not answers.
    """

    def texts(key: str) -> tuple[str, ...]:
        value = record.get(key)
        items = cast("list[object]", value) if isinstance(value, list) else []
        return tuple(item for item in items if isinstance(item, str))

    try:
        answers = Answers(
            kind=record["kind"],
            where=str(record.get("where", "")),
            name=str(record["name"]),
            description=str(record.get("description", "")),
            transport=record["transport"],
            auth=record["auth"],
            features=texts("features"),
            tags=texts("tags"),
            only=texts("only"),
            base_url=str(record.get("base_url", "")),
        )
    except KeyError as error:
        raise GeneratorError(f".generator.json says nothing of {error}.") from error
    check_answers(answers)
    return answers


def check_answers(answers: Answers) -> None:
    """Refuse answers that do not go together.

    Raises:
        GeneratorError: What is wrong, and what to answer instead.
    """
    _one_of("source", answers.kind, KINDS)
    _one_of("transport", answers.transport, TRANSPORTS)
    _one_of("auth", answers.auth, AUTHS)
    for feature in answers.features:
        _one_of("feature", feature, FEATURES)
    if answers.name and (problem := name_problem(answers.name)):
        raise GeneratorError(problem)
    if answers.auth != "none" and answers.transport == "stdio":
        raise GeneratorError(
            f"Authentication ({answers.auth}) is for HTTP; stdio belongs to who starts it.",
            next_step="Add `--transport http`, or leave `--auth` out.",
        )
    if answers.kind != "blank" and not answers.where.strip():
        raise GeneratorError(
            f"`--from {answers.kind}` needs a source.",
            next_step=f"For example: {EXAMPLES[answers.kind]}.",
        )


def check_options(answers: Answers) -> None:
    """Refuse what a source of this kind would not look at.

    Raises:
        GeneratorError: Which it is, and what it is for.
    """
    if answers.kind == "blank" and answers.where.strip():
        raise GeneratorError(
            f"A server made from nothing has no source, and {answers.where[:60]!r} is one.",
            next_step=f"Say what it is: `--from {' | '.join(KINDS[1:])}`.",
        )
    given = {"--tag": answers.tags, "--only": answers.only, "--base-url": answers.base_url}
    for option, value in given.items():
        if value and answers.kind not in _LOOKED_AT[option]:
            kinds = " or ".join(f"`--from {kind}`" for kind in _LOOKED_AT[option])
            more = "; name functions as `module:one,two`" if answers.kind == "python" else ""
            raise GeneratorError(
                f"{option} is for {kinds}, and this is `--from {answers.kind}`.",
                next_step=f"Leave it out{more}.",
            )


_LOOKED_AT: dict[str, tuple[Kind, ...]] = {
    "--tag": ("openapi",),
    "--only": ("openapi", "cli", "database"),
    "--base-url": ("openapi", "curl"),
}
"""Option → the kinds of sources that look at it."""


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise GeneratorError(f"There is no {what} {value!r}; known are {', '.join(known)}.")


def name_problem(name: str) -> str | None:
    """Return what is wrong with a project's name in one sentence, None if it is legal."""
    better = project_name(name)
    if name == better:
        return None
    if is_taken_name(name):
        return (
            f"{name!r} is the name of a module or package that a server needs, and an installer or "
            f"an import would take one for the other; try {better!r}."
        )
    return f"{name[:60]!r} is no name for a server: a-z, 0-9 and '-', up to 32; try {better!r}."


def package_of(answers: Answers, name: str) -> str:
    """Return the name of a project's package; it does not hide the module that it offers."""
    target = answers.where.partition(":")[0] if answers.kind == "python" else ""
    return package_name(name, taken="" if target.endswith(".py") else target)


def spec_of(answers: Answers, source: Source) -> ServerSpec:
    """Return the specification of what is to be made."""
    check_answers(answers)
    name = answers.name or project_name(source.title or answers.kind)
    if answers.base_url:
        settings = tuple(
            replace(one, default=answers.base_url, required=False)
            if one.name == "base_url"
            else one
            for one in source.settings
        )
        source = replace(source, settings=settings)
    return ServerSpec(
        name=name,
        package=package_of(answers, name),
        description=answers.description or source.description or f"The server {name}.",
        source=source,
        transport=answers.transport,
        auth=answers.auth,
        features=frozenset(answers.features),
    )
