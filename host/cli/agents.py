"""`host agents`: list, show, check and begin agents' files; no daemon is needed."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from host.cli.client import show_json
from host.cli.config import JSON_OPTION
from host.cli.new_part import new_agent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from host.agents.library import Agent, AgentLibrary

NAME = typer.Argument(help="The agent's name.")


def register(root: typer.Typer) -> None:
    """Add `agents`."""
    app = typer.Typer(help="List, show, check and begin agents.", no_args_is_help=True)
    app.command("list")(list_agents)
    for command in (show, check):
        app.command()(command)
    app.command("new")(new_agent)
    root.add_typer(app, name="agents")


def list_agents(as_json: bool = JSON_OPTION) -> None:
    """Print all agents; those whose files are wrong are named too."""
    library = _library()
    agents, errors = library.agents(), library.errors()
    if as_json:
        found = [_row(agent) for agent in agents.values()]
        wrong = [{"name": name, "error": str(error)} for name, error in errors.items()]
        print(show_json(found + wrong))
        return
    width = max((len(name) for name in agents), default=0)
    for name, agent in agents.items():
        print(f"{name:<{width}}  {agent.config.model:<24}  {agent.config.description}".rstrip())
    for name, error in errors.items():
        print(f"{name}: not usable: {error}", file=sys.stderr)
    if not agents and not errors:
        print("No agents. `host agents new NAME` begins one.")


def show(name: str = NAME, as_json: bool = JSON_OPTION) -> None:
    """Print what an agent's file says, with every default."""
    agent = _library().get(name)
    if as_json:
        print(show_json({**_row(agent), **agent.config.model_dump(mode="json"), "name": name}))
        return
    import yaml

    print(f"# {agent.file}  {agent.digest}")
    print(yaml.safe_dump(agent.config.model_dump(mode="json"), sort_keys=False).strip())


def check(name: str | None = typer.Argument(None, help="An agent; none checks all.")) -> None:
    """Check agents' files; the exit status is 2 if one is wrong."""
    library = _library()
    if name is not None:
        library.get(name)
    elif library.errors():
        for error in library.errors().values():
            print(f"host: {error}", file=sys.stderr)
        raise typer.Exit(2)
    names = [name] if name is not None else list(library.agents())
    wrong = [line for one in names for line in _missing(library, one)]
    wrong += _wrong_models([library.get(one) for one in names])
    for line in wrong:
        print(f"host: {line}", file=sys.stderr)
    if wrong:
        raise typer.Exit(2)
    print(f"{', '.join(names)}: right.")


def _missing(library: "AgentLibrary", name: str) -> list[str]:
    """Return which agents a file speaks of that are not there."""
    agent = library.get(name)
    known = library.files()
    others: list[str] = [*agent.config.agents, *agent.config.handoffs]
    return [
        f"{agent.file}: there is no agent {one!r}. Known are {', '.join(sorted(known))}."
        for one in others
        if one not in known
    ]


def _wrong_models(agents: "Sequence[Agent]") -> list[str]:
    """Return which agents have a model that does not exist."""
    from host.config.paths import user_paths
    from host.domain.errors import HostError
    from host.models.models import Models

    models, wrong = Models.load(user_paths(), os.environ), list[str]()
    for agent in agents:
        try:
            models.check_name(agent.config.model)
        except HostError as error:
            wrong.append(f"{agent.file}: {error}")
    return wrong


def _library() -> "AgentLibrary":
    from host.agents.agents import agent_library, prompt_library
    from host.config.paths import user_paths

    paths = user_paths()
    return agent_library(paths, prompt_library(paths), os.environ)


def _row(agent: "Agent") -> dict[str, object]:
    return {
        "name": agent.name,
        "description": agent.config.description,
        "model": agent.config.model,
        "tools": list(agent.config.tools),
        "file": str(agent.file) if isinstance(agent.file, Path) else None,
        "digest": agent.digest,
    }
