"""What an agent's file can say."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator, model_validator

from host.config.document import StrictModel
from host.config.servers import ServerConfig, ServerName
from host.memory.record import Scope, Tier

CredentialName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
"""A variable that can hold a credential; in lower case it is the name of a key."""


class AgentLimits(StrictModel):
    """Where a run ends, done or not; runs that it starts count towards its own."""

    steps: int = Field(default=25, ge=1, le=10_000)
    """Most requests to the model."""
    tokens: int = Field(default=0, ge=0)
    """Most tokens, read and written; 0 means no limit."""
    cost: float = Field(default=0, ge=0)
    """Most US dollars, as far as prices are known; 0 means no limit."""
    seconds: float = Field(default=0, ge=0)
    """Most seconds, waiting for approvals included; 0 means no limit."""
    tool_seconds: float = Field(default=300, gt=0)
    """Seconds that one tool call may take, once an approval that it needs is there."""
    repairs: int = Field(default=2, ge=0, le=10)
    """How often an answer that misses the schema is sent back."""


class AgentMemory(StrictModel):
    """What an agent keeps in mind."""

    buffer: int = Field(default=24_000, ge=500)
    """Tokens of the conversation that are sent; what is older is summed up."""
    long_term: bool = False
    """Whether it recalls from the memory before it answers, and keeps what was said."""
    scopes: tuple[Scope, ...] = ("user", "agent")
    """Scopes of the memory that it recalls from."""
    tiers: tuple[Tier, ...] = ()
    """Tiers of the memory that it recalls from; empty means all."""
    recall: int = Field(default=5, ge=0, le=50)
    """Most memories that are recalled for one message."""


class AgentConfig(StrictModel):
    """One agent."""

    name: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9_-]{0,31})?$")
    """Its name; empty means the file's name."""
    description: str = ""
    """What it is good for, in a sentence; whoever chooses an agent reads this."""
    instructions: str = ""
    """What the model is told, a Jinja2 template; `agent`, `date`, `user` and `vars` are given."""
    instructions_file: str | None = None
    """A file with the instructions, beside this one."""
    prompt: str | None = None
    """A prompt of the library that is the instructions, as `name` or `name@version`."""
    variables: dict[str, str] = Field(default_factory=dict)
    """Values for `vars` of the instructions."""
    model: str = "default"
    """A model as `provider:name`, or a name or route of models.yaml."""
    models: tuple[str, ...] = ()
    """Models that a client may ask for in its place, by name or pattern (`openai:*`); the terminal
    may ask for any."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the model, as in models.yaml."""
    tools: tuple[str, ...] = ()
    """Tools by catalog name, pattern (`files__read_*`) or whole server (`files`)."""
    memory: AgentMemory = AgentMemory()
    """What it keeps in mind."""
    output: dict[str, Any] | None = None
    """JSON Schema of its answer; None means text."""
    limits: AgentLimits = AgentLimits()
    """Where a run ends."""
    agents: tuple[str, ...] = ()
    """Agents that it may use as tools."""
    handoffs: tuple[str, ...] = ()
    """Agents that it may hand the conversation over to."""
    servers: dict[ServerName, ServerConfig] = Field(default_factory=dict)
    """Tool servers of its own, as in host.yaml; nobody else sees them, it has all their tools."""
    credentials: dict[CredentialName, str] = Field(default_factory=dict)
    """What it cannot do without, by the name of a variable, and what that is for; `${NAME}` in
    `servers` stands for it."""
    policy: str | None = None
    """A policy file beside this one, which holds for its calls and can only tighten."""
    planning: bool = False
    """Whether it is told to write a plan first and to keep to it."""
    role: str = ""
    """The part that it plays where several agents work together; free text."""
    result_tokens: int = Field(default=4_000, ge=100)
    """Tokens of one tool result that the model gets at once; the rest it can page through."""

    @field_validator("tools", "agents", "handoffs", "models", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> "AgentConfig":
        given = [self.instructions, self.instructions_file, self.prompt]
        if sum(1 for one in given if one) > 1:
            raise ValueError("Only one of instructions, instructions_file and prompt can be given")
        return self
