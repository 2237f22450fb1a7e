"""What a policy's own test cases can say, field by field."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue

from host.config.document import StrictModel
from host.policy.answer import Action
from host.policy.argument_document import as_list
from host.policy.attempt import Face, Kind
from host.policy.pointer import Json
from host.policy.provenance import Origin, ValueKind

Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]


class SeenConfig(StrictModel):
    """Where a value of a test case was seen; a plain list means its origins."""

    origins: tuple[Origin, ...] = Field(min_length=1)
    """Where."""
    kind: ValueKind = "name"
    """What it is."""


def _as_seen(value: Json) -> Json:
    return {"origins": as_list(value)} if isinstance(value, str | list) else value


class CallConfig(StrictModel):
    """A call in a test case; what is left out is ordinary."""

    method: Kind = "tool"
    """Kind of request."""
    name: str = ""
    """Name in the catalog; of its form `server__tool` the other two follow."""
    server: str | None = None
    """The server's name; None means the part of `name` before `__`."""
    tool: str | None = None
    """The server's own name of it; None means the part of `name` after `__`."""
    package: str | None = None
    """What the server is, such as `npm:@scope/name`, for the table of known servers."""
    user: str = "local"
    """Who calls."""
    client: str = "test"
    """With which credential."""
    role: Literal["admin", "approver", "user", "viewer"] = "user"
    """What the credential is good for."""
    attended: bool = True
    """Whether a person sits at the client."""
    agent: str | None = None
    """On behalf of which agent."""
    face: Face = "stdio"
    """Where it came in."""
    session: str = "test"
    """In which session."""
    trusted: bool = False
    """Whether the server is trusted."""
    annotations: dict[str, JsonValue] = Field(default_factory=dict)
    """The tool's annotations."""
    labels: tuple[Label, ...] = ()
    """Labels of server and tool."""
    taint: tuple[Label, ...] = ()
    """Labels that the session has met."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """The arguments."""
    seen: dict[str, Annotated[SeenConfig, BeforeValidator(_as_seen)]] | None = None
    """Text or number in the arguments → where it was seen; None: the host does not hear the user.

    What is not listed decides nothing.
    """
    asked_for: bool = False
    """Whether the user spoke of what the tool's name says; only where they are heard."""
    folder: str | None = None
    """Folder that relative paths are relative to; None means that it is not known."""
    at: datetime | None = None
    """When; None means now."""
    used: dict[str, float] = Field(default_factory=dict)
    """Rule → how much of its limits was used before."""
    plugins: dict[str, bool] = Field(default_factory=dict)
    """`NAME.FUNCTION` → what the plugin's rule says; one that is not named cannot be asked."""


class CaseConfig(StrictModel):
    """A test case: a call, and what is to become of it."""

    name: str
    """What it shows."""
    call: CallConfig
    """The call."""
    expect: Action
    """What is to be decided."""
    rule: str | None = None
    """Which rule is to decide it; None means any, or none."""
    every_time: bool | Literal["unless_constrained"] | None = None
    """Whether it is to be asked every time; None means any."""


class CasesConfig(StrictModel):
    """A file of test cases beside a policy file of the same name."""

    version: Literal[1] = 1
    """Version of this format."""
    tests: tuple[CaseConfig, ...]
    """The cases."""
