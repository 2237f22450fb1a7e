"""A server's specification in, the files of its project out."""

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator import pages
from generator.errors import GeneratorError
from generator.example import examples_of
from generator.layout import Say, keep_quiet, lay_out
from generator.literal import Code, one_line
from generator.naming import in_natural_order, title
from generator.render import TEMPLATES, load_templates, render
from generator.shape import shape_of
from generator.spec import ServerSpec, Setting, Tool

RECORD = ".generator.json"
"""Name of the file that keeps what a project was made from, and its files as they were made."""


def render_server(
    spec: ServerSpec, *, extra_templates: Iterable[Path] = (), say: Say = keep_quiet
) -> dict[str, str]:
    """Return the files of a server's project: path → text.

    Args:
        spec: The server.
        extra_templates: Folders whose templates replace or add to the shipped ones.
        say: Told where the Python files could not be laid out.

    Raises:
        GeneratorError: The specification or a template is wrong.
    """
    folders = [TEMPLATES / "server", TEMPLATES / spec.source.kind, *extra_templates]
    files = lay_out(render(load_templates(folders), values_of(spec)), say=say)
    package = f"src/{spec.package}"
    for path, text in spec.source.files.items():
        files[f"{package}/{path}"] = text
    files[f"{package}/pages.py"] = Path(pages.__file__).read_text("utf-8")
    prefix = f"{package}/tools/"
    modules = {
        path.removeprefix(prefix).removesuffix(".py"): text
        for path, text in files.items()
        if path.startswith(prefix)
    }
    for name, text in pages.render_pages(dict(sorted(modules.items()))).items():
        files[f"docs/tools/{name}"] = text
    return files


def values_of(spec: ServerSpec) -> dict[str, Any]:
    """Return what templates can name."""
    source = spec.source
    files = [group.file for group in source.groups] + ["extras"] * bool(spec.features)
    fastmcp = "fastmcp[tasks]>=4.1,<5" if "tasks" in spec.features else "fastmcp>=4.1,<5"
    needed = {fastmcp, "pydantic>=2.11", "pydantic-settings>=2.8", "typing-extensions>=4.12"}
    settings = (*source.settings, *_auth_settings(spec), *_task_settings(spec))
    examples = examples_of(spec.features, (tool.name for tool in spec.tools))
    return {
        "name": spec.name,
        "package": spec.package,
        "title": title(spec.name),
        "description": one_line(spec.description, 500) or "An MCP server.",
        "instructions": one_line(spec.description, 1_000) or "An MCP server.",
        "transport": spec.transport,
        "auth": spec.auth,
        "features": spec.features,
        "groups": source.groups,
        "modules": in_natural_order(files),
        "tools": (*spec.tools, *examples.values()),
        "examples": examples,
        "settings": settings,
        "prefix": f"{spec.package.upper()}_",
        "about_uri": f"about://{spec.name}",
        "dependencies": sorted(needed | set(source.dependencies)),
        "extra": source.extra,
        "notes": source.notes,
        "copied": sorted(source.files),
        "used": used_names,
    }


def used_names(tools: Sequence[Tool], names: Sequence[str]) -> str:
    """Return those of some names that the annotations of tools use, for an import; `Any` always."""
    said = {
        node.id
        for tool in tools
        for param in tool.params
        for node in ast.walk(ast.parse(f"({param.annotation})", mode="eval"))
        if isinstance(node, ast.Name)
    }
    return ", ".join(name for name in names if name == "Any" or name in said)


def _auth_settings(spec: ServerSpec) -> tuple[Setting, ...]:
    plain = shape_of({"type": "string"}).annotation
    if spec.auth == "bearer":
        text = "The bearer token that clients send over HTTP; a long random text."
        public = "Address under which clients reach this server, where it is not this machine's."
        return (
            Setting("auth_token", Code("SecretStr | None"), None, text, required=True, secret=True),
            Setting("public_url", plain, "", public),
        )
    if spec.auth == "none":
        return ()
    texts = {
        "oauth_issuer": "Issuer of the tokens: the authorization server's address.",
        "oauth_jwks_url": "Where the authorization server publishes its keys.",
        "oauth_audience": "Audience that tokens must have; the public address where it is empty.",
        "public_url": "Address under which clients reach this server.",
    }
    return tuple(
        Setting(key, plain, "", text, required=key != "oauth_audience")
        for key, text in texts.items()
    )


def _task_settings(spec: ServerSpec) -> tuple[Setting, ...]:
    if "tasks" not in spec.features:
        return ()
    text = "Where background tasks are kept: memory://, or redis://… for several processes."
    plain = shape_of({"type": "string"}).annotation
    return (Setting("tasks_url", plain, "memory://", text, example="redis://localhost:6379/0"),)


def record_of(files: Mapping[str, str], answers: Mapping[str, Any], *, version: str) -> str:
    """Return the text of `.generator.json`."""
    record = {"version": version, "answers": dict(answers), "files": dict(files)}
    return json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


@dataclass(frozen=True)
class Record:
    """What a project keeps of its making."""

    answers: Mapping[str, Any]
    files: Mapping[str, str]


def read_record(project: Path) -> Record:
    """Read the record of a project.

    Raises:
        GeneratorError: There is none, or it is not one.
    """
    file = project / RECORD
    try:
        value = json.loads(file.read_text("utf-8"))
        files = {str(path): str(text) for path, text in value["files"].items()}
        return Record(dict(value["answers"]), files)
    except FileNotFoundError:
        raise GeneratorError(
            f"{project} has no {RECORD}: it was not made by `host new-server`."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GeneratorError(f"{file} cannot be used: {error}.") from error
