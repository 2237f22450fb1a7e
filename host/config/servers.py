"""One tool server in host.yaml: how it is reached, what it may offer, and its limits."""

from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    AnyHttpUrl,
    Field,
    JsonValue,
    SecretStr,
    model_validator,
)

from host.config.document import StrictModel
from host.config.names import check_name
from host.config.oauth import OAuthClientConfig
from host.config.shipped import known_servers
from host.config.yaml import Json
from host.domain.names import nearest_names

Transport = Literal["stdio", "http", "sse", "bundled"]
"""How a server is reached."""

_TRANSPORTS = {
    "streamable-http": "http",
    "streamable_http": "http",
    "streamablehttp": "http",
    "streamableHttp": "http",
}
_STARTERS = ("command", "url", "bundled")


def _legal(name: str) -> str:
    problem = check_name(name)
    if problem:
        raise ValueError(problem)
    return name


def _legal_prefix(prefix: str) -> str:
    return prefix and _legal(prefix)


def _known_bundled(name: str) -> str:
    known = known_servers()
    if name not in known:
        near = nearest_names(name, known, most=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise ValueError(f"There is no bundled server {name!r}; {hint}")
    return name


ServerName = Annotated[str, AfterValidator(_legal)]
"""A legal server name, see `host.config.names`."""


class NoAuthConfig(StrictModel):
    """The server asks for no credential beyond the headers."""

    type: Literal["none"] = "none"
    """Kind of credential."""


class BearerAuthConfig(StrictModel):
    """A fixed bearer token."""

    type: Literal["bearer"]
    """Kind of credential."""
    token: SecretStr = Field(min_length=1)
    """The token, best as `${VARIABLE}`."""


AuthConfig = Annotated[
    NoAuthConfig | BearerAuthConfig | OAuthClientConfig, Field(discriminator="type")
]
"""How the host proves itself to an HTTP server."""


class ToolsConfig(StrictModel):
    """Which of a server's tools are offered, and under which names and texts."""

    allow: tuple[str, ...] | None = None
    """Patterns (`*`, `?`) of the tools that are offered; None means all, empty means none."""
    deny: tuple[str, ...] = ()
    """Patterns of tools that are not offered, whatever `allow` says."""
    rename: dict[str, str] = Field(default_factory=dict)
    """The server's name of a tool → the name it is offered under."""
    describe: dict[str, str] = Field(default_factory=dict)
    """The server's name of a tool → the description that replaces the server's own."""


def _check_renames(config: ToolsConfig) -> ToolsConfig:
    seen: dict[str, str] = {}
    for original, new in config.rename.items():
        if new in seen:
            raise ValueError(f"{seen[new]!r} and {original!r} are both renamed to {new!r}")
        seen[new] = original
    return config


class ServerConfig(StrictModel):
    """One tool server; exactly one of `command`, `url` and `bundled` says how it is reached."""

    command: str | None = Field(default=None, min_length=1, coerce_numbers_to_str=False)
    """Program to start, spoken to over standard input and output; None if it is not a program."""
    args: tuple[str, ...] = ()
    """Words after the command."""
    env: dict[str, SecretStr] = Field(default_factory=dict)
    """Variables for the program, beside a minimal environment; nothing else is inherited."""
    cwd: str | None = None
    """Folder to start it in, `~` allowed; None means the folder of a project's file, else home."""
    host_folders: bool = False
    """Whether the program may see the host's own config, data and socket folders."""

    url: AnyHttpUrl | None = None
    """Address of a server that runs elsewhere; None if it is not reached over HTTP."""
    transport: Literal["stdio", "http", "sse"] | None = Field(
        default=None, validation_alias=AliasChoices("transport", "type")
    )
    """`http` is Streamable HTTP, `sse` the legacy transport; None follows from command or url."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers of every HTTP request."""
    auth: AuthConfig = NoAuthConfig()
    """Credential for an HTTP server."""

    bundled: Annotated[str, AfterValidator(_known_bundled)] | None = None
    """Name of a server that comes with the host, such as `files`; None if it is none of them."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Settings of a bundled server, handed to it as they are."""

    enabled: bool = True
    """Whether the server is used at all."""
    prefix: Annotated[str, AfterValidator(_legal_prefix)] | None = None
    """First part of its tools' names; None means the server's name, empty means no prefix."""
    tools: Annotated[ToolsConfig, AfterValidator(_check_renames)] = ToolsConfig()
    """Which tools are offered, and how."""
    timeout: float = Field(default=60, gt=0, le=86_400)
    """Longest wait for an answer to one request without progress, in seconds."""
    connect_timeout: float = Field(default=30, gt=0, le=3_600)
    """Longest wait for start and handshake, in seconds."""
    max_result_bytes: int = Field(default=20_000_000, ge=1_024)
    """Largest result that is passed on, in bytes."""
    protocol: Literal["auto", "handshake", "stateless"] = "auto"
    """Era: `handshake` (up to 2025-11-25), `stateless` (2026-07-28), `auto` asks the server."""
    shared: Literal["auto"] | bool = "auto"
    """One session for all (true), one for each client session (false), or as the kind needs."""
    trust: Literal["auto", "review", "follow"] = "auto"
    """What of its definitions is used unseen: `auto` new and clean ones, `review` none, `follow`
    all, changed ones too (for a server that you work on yourself)."""
    trusted: bool = False
    """Whether policy may believe its annotations (read-only, destructive)."""
    labels: tuple[str, ...] = ()
    """Labels for policy, such as `untrusted`, `private`, `sends`."""

    @model_validator(mode="before")
    @classmethod
    def _name_transport(cls, data: Json) -> Json:
        if not isinstance(data, dict):
            return data
        entry = dict(cast("dict[str, Any]", data))
        for key in ("transport", "type"):
            if isinstance(entry.get(key), str):
                entry[key] = _TRANSPORTS.get(entry[key], entry[key])
        return entry

    @model_validator(mode="after")
    def _one_way_in(self) -> "ServerConfig":
        given = [name for name in _STARTERS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"Exactly one of command, url, bundled is expected, found {found}")
        self._check_fits()
        return self

    def _check_fits(self) -> None:
        local = self.url is None
        wrong = ("headers", "auth") if local else ("args", "env", "cwd", "host_folders")
        wrong += ("args", "host_folders") if self.bundled else ("settings",)
        misplaced = [name for name in wrong if name in self.model_fields_set]
        if misplaced:
            kind = "url" if not local else "command" if self.command else "bundled"
            raise ValueError(f"{misplaced[0]!r} does not go together with {kind!r}")
        if self.transport is not None and (self.transport == "stdio") is not local:
            raise ValueError(
                f"transport {self.transport!r} does not go together with "
                f"{'command or bundled' if local else 'url'!r}"
            )

    @property
    def kind(self) -> Transport:
        """How the server is reached."""
        if self.bundled is not None:
            return "bundled"
        if self.url is None:
            return "stdio"
        return "sse" if self.transport == "sse" else "http"

    def plain_env(self) -> dict[str, str]:
        """Return the variables with their secrets in the clear, to start the program."""
        return {name: value.get_secret_value() for name, value in self.env.items()}

    def plain_headers(self) -> dict[str, str]:
        """Return the headers with their secrets in the clear, to send them."""
        return {name: value.get_secret_value() for name, value in self.headers.items()}
