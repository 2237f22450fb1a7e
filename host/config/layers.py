"""What a trusted project's host.yaml adds to the user's configuration: servers, never looseness."""

from dataclasses import dataclass, field
from typing import Literal, cast

from pydantic import Field

from host.config.document import StrictModel, validate_document
from host.config.servers import ServerConfig
from host.config.settings import Settings
from host.config.yaml import Document, Json
from host.domain.errors import ConfigError

AGENT_LABEL = "agent"
"""Label of the servers that an agent's own file brings."""
PROJECT_LABEL = "project"
"""Label that every server from a working folder carries, for policy to go by."""

_BLOCKS = ("servers", "mcpServers")
_STARTERS = ("command", "url", "bundled")


class TightenedToolsConfig(StrictModel):
    """Tools of one of the user's servers that a project does without."""

    deny: tuple[str, ...] = ()
    """Patterns of tools that are not offered, besides those that the user denies."""


class TighteningConfig(StrictModel):
    """What a project may say about a server that the user's own configuration has."""

    enabled: Literal[False] | None = None
    """False turns the server off; None leaves it."""
    tools: TightenedToolsConfig = TightenedToolsConfig()
    """Tools to leave out."""
    timeout: float | None = Field(default=None, gt=0)
    """A shorter wait for an answer, in seconds; None leaves it."""
    max_result_bytes: int | None = Field(default=None, ge=1_024)
    """A smaller limit of results, in bytes; None leaves it."""
    labels: tuple[str, ...] = ()
    """Further labels."""


class Tightenings(StrictModel):
    """The entries of a project's file that concern the user's servers."""

    servers: dict[str, TighteningConfig] = Field(default_factory=dict)
    """By the user's name of the server."""
    mcp_servers: dict[str, TighteningConfig] = Field(default_factory=dict, alias="mcpServers")
    """The same, in the block that clients use."""


@dataclass(frozen=True, slots=True)
class ProjectParts:
    """A project's file, divided by what it may do.

    Attributes:
        added: Blocks of servers that the user does not have.
        tightened: Blocks of entries about the user's servers.
        problems: Entries that would replace a server of the user's.
        ignored: Sections that only the user's own file can set.
    """

    added: dict[str, Json] = field(default_factory=dict[str, Json])
    tightened: dict[str, Json] = field(default_factory=dict[str, Json])
    problems: list[ConfigError] = field(default_factory=list[ConfigError])
    ignored: list[str] = field(default_factory=list[str])


def divide_project(document: Document, value: Json, *, user: Settings) -> ProjectParts:
    """Sort the entries of a project's file by whether the user has a server of that name.

    Args:
        document: The project's file, for lines.
        value: Its content, expanded.
        user: The user's settings.
    """
    parts = ProjectParts()
    if not isinstance(value, dict):
        parts.added["servers"] = value
        return parts
    for section, content in cast("dict[str, Json]", value).items():
        if section not in _BLOCKS:
            parts.ignored.append(section)
        elif not isinstance(content, dict):
            parts.added[section] = content
        else:
            for name, entry in cast("dict[str, Json]", content).items():
                known = name in user.servers
                part = parts.tightened if known else parts.added
                part.setdefault(section, {})[name] = entry
                if known and isinstance(entry, dict) and any(key in entry for key in _STARTERS):
                    parts.problems.append(_taken(document, section, name))
    return parts


def _taken(document: Document, section: str, name: str) -> ConfigError:
    return document.error(
        f"The server {name!r} is in your own configuration; a project can turn it off or tighten "
        "it, not replace it.",
        place=(section, name),
        next_step="Give the project's server another name.",
    )


def add_project(user: Settings, added: Settings, tightened: Tightenings) -> Settings:
    """Return the user's settings with a project's servers added and some of theirs tightened."""
    servers = dict(user.servers)
    for name, change in {**tightened.servers, **tightened.mcp_servers}.items():
        servers[name] = _tighten(servers[name], change)
    for name, server in added.servers.items():
        servers[name] = _restrain(server)
    return user.model_copy(update={"servers": servers}).with_secrets(added.secret_values())


def _tighten(server: ServerConfig, change: TighteningConfig) -> ServerConfig:
    denied = (*server.tools.deny, *change.tools.deny)
    update: dict[str, Json] = {
        "enabled": server.enabled and change.enabled is None,
        "tools": server.tools.model_copy(update={"deny": denied}),
        "timeout": min(server.timeout, change.timeout or server.timeout),
        "max_result_bytes": min(
            server.max_result_bytes, change.max_result_bytes or server.max_result_bytes
        ),
        "labels": tuple(dict.fromkeys((*server.labels, *change.labels))),
    }
    return server.model_copy(update=update)


def _restrain(server: ServerConfig) -> ServerConfig:
    # Neither believed nor put among the user's names: its tools come under its own name only.
    labels = tuple(dict.fromkeys((*server.labels, PROJECT_LABEL)))
    trust = "auto" if server.trust == "follow" else server.trust
    update = {"trusted": False, "trust": trust, "prefix": None, "labels": labels}
    return server.model_copy(update={**update, "host_folders": False})


def check_tightenings(
    document: Document, parts: ProjectParts, *, known: list[ConfigError]
) -> Tightenings:
    """Return the checked entries about the user's servers.

    Raises:
        InvalidConfigError: Some are wrong, or replace a server of the user's.
    """
    if parts.problems:  # said once; the fields of a replaced server would only repeat it
        return validate_document(Tightenings, document, value={}, known=[*known, *parts.problems])
    return validate_document(Tightenings, document, value=parts.tightened, known=known)
