"""What a server is made from: tools with parameters, groups of them, settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from generator.literal import Code

Effect = Literal["reads", "adds", "destroys"]
Transport = Literal["stdio", "http"]
Auth = Literal["none", "bearer", "oauth"]

ANYTHING = Code("Any")
TRANSPORTS: tuple[Transport, ...] = ("stdio", "http")
AUTHS: tuple[Auth, ...] = ("none", "bearer", "oauth")
FEATURES = ("lifespan", "elicitation", "tasks")
"""What can be added to any server: a shared resource, a question to the user, background tasks."""


@dataclass(frozen=True)
class Param:
    """One parameter of a tool."""

    name: str
    """Its Python name, and the argument's name in the protocol."""
    wire: str
    """Its name where the value goes: in the request, on the command line, in the table."""
    annotation: Code
    """Its type as Python source."""
    required: bool
    default: Any = None
    """The default where it is not required; None means that nothing is passed on."""
    description: str = ""
    place: str = ""
    """Where the value goes, in the words of the source: `path`, `query`, `option`, …"""
    type_name: str = "anything"
    """Its type in words, for a page of documentation."""
    sample: Any = None
    """A value that fits."""
    wrong: Any = None
    """A value that does not; None if every value fits."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Tool:
    """One tool."""

    name: str
    title: str
    description: str
    params: tuple[Param, ...] = ()
    effect: Effect = "reads"
    idempotent: bool = True
    open_world: bool = False
    labels: tuple[str, ...] = ()
    returns: Code = ANYTHING
    """The type of its answer as Python source."""
    call: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the template of the source needs to write the body."""

    @property
    def file(self) -> str:
        """Name of its page."""
        return self.name

    @property
    def ordered(self) -> tuple[Param, ...]:
        """Its parameters with the required ones first, as Python wants them."""
        return tuple(sorted(self.params, key=lambda param: not param.required))

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Its labels and those that follow from its effect."""
        follows = {"reads": (), "adds": ("changes",), "destroys": ("changes", "destructive")}
        return tuple(dict.fromkeys((*self.labels, *follows[self.effect])))

    @property
    def sample(self) -> dict[str, Any]:
        """Arguments that fit: the required ones."""
        return {param.name: param.sample for param in self.params if param.required}

    @property
    def wrong(self) -> tuple[str, dict[str, Any]] | None:
        """The first argument that can be of a wrong type, and arguments with it wrong."""
        for param in self.params:
            if param.wrong is not None:
                return param.name, {**self.sample, param.name: param.wrong}
        return None


@dataclass(frozen=True)
class Group:
    """Tools that share a module."""

    file: str
    title: str
    tools: tuple[Tool, ...]


@dataclass(frozen=True)
class Setting:
    """One setting of the server, read from the environment."""

    name: str
    annotation: Code
    default: Any
    description: str
    required: bool = False
    secret: bool = False
    example: str = ""


@dataclass(frozen=True)
class Source:
    """What a source was read into."""

    kind: str
    """The folder of templates for it."""
    groups: tuple[Group, ...]
    settings: tuple[Setting, ...] = ()
    dependencies: tuple[str, ...] = ()
    title: str = ""
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Files of the user's own that become part of the project: path below the package → text."""
    notes: tuple[str, ...] = ()
    """What was left out or changed, a sentence each."""


@dataclass(frozen=True)
class ServerSpec:
    """A server to make."""

    name: str
    package: str
    description: str
    source: Source
    transport: Transport = "stdio"
    auth: Auth = "none"
    features: frozenset[str] = frozenset()

    @property
    def tools(self) -> tuple[Tool, ...]:
        """All tools, those of features aside."""
        return tuple(tool for group in self.source.groups for tool in group.tools)
