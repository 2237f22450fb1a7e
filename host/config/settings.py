"""Everything host.yaml can say; the whole of it is immutable once read."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, model_validator

from host.config.approvals import ApprovalsConfig
from host.config.bind import check_bind
from host.config.document import PlacedError, StrictModel
from host.config.expand import is_secret_name
from host.config.oauth import HttpOAuthConfig
from host.config.reformulate import ReformulateConfig
from host.config.sandbox import PluginsConfig, SandboxConfig
from host.config.servers import ServerConfig, ServerName
from host.config.yaml import Json
from host.domain.errors import ConfigError


def _legal_path(path: str) -> str:
    if not path.startswith("/") or path.endswith("/") or path.startswith("/.well-known"):
        raise ValueError(f"The path {path!r} has to begin with '/' and not to end with it")
    return path


class HttpConfig(StrictModel):
    """The HTTP face."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs `tls_terminated_by` and `auth: oauth`."""
    port: int = Field(default=8765, ge=0, le=65_535)
    """Port to listen on; 0 lets the system choose."""
    path: Annotated[str, AfterValidator(_legal_path)] = "/mcp"
    """Path of the MCP endpoint."""
    auth: Literal["token", "oauth", "none"] = "token"
    """`token`: of `host tokens`; `oauth`: as `oauth` says; `none`: anyone on this machine."""
    max_body_bytes: int = Field(default=4_194_304, ge=1_024)
    """Largest request body, in bytes."""
    requests_per_minute: int = Field(default=0, ge=0)
    """Most requests of one client in a minute; 0 means no limit."""
    allowed_origins: tuple[str, ...] = ()
    """Web origins that may call, such as `https://app.example.com`; loopback is always allowed."""
    allowed_hosts: tuple[str, ...] = ()
    """`Host` headers that are accepted beside loopback and the bound address."""
    tls_terminated_by: str | None = None
    """Name of the proxy that ends TLS in front of the host; None means that there is none."""
    oauth: HttpOAuthConfig | None = None
    """Whose tokens are accepted with `auth: oauth`; None otherwise."""

    @model_validator(mode="after")
    def _safe_bind(self) -> "HttpConfig":
        if self.auth == "oauth" and self.oauth is None:
            raise ValueError("auth is 'oauth', but the oauth section is missing")
        try:
            check_bind(self)
        except ConfigError as error:
            raise ValueError(f"{error.message} {error.next_step}") from error
        return self


def _postgres(url: SecretStr | None) -> SecretStr | None:
    schemes = ("postgresql://", "postgres://", "postgresql+psycopg://", "${")
    if url is not None and not url.get_secret_value().startswith(schemes):
        raise ValueError("The database has to be PostgreSQL: postgresql://user@host:5432/database")
    return url


class StoreConfig(StrictModel):
    """The database."""

    url: Annotated[SecretStr | None, AfterValidator(_postgres)] = None
    """PostgreSQL address; None means DATABASE_URL, else the embedded server."""


class ClientConfig(StrictModel):
    """What one client, known by its token's name, is shown."""

    expose: Literal["all", "search", "code"] = "all"
    """`search` and `code` list a few tools that lead to all others, to save tokens."""
    tools: tuple[str, ...] = ()
    """Patterns of tool names that are listed besides with `expose: search` or `code`."""


class PolicyBaseConfig(StrictModel):
    """The rules that hold; more are in `policies/*.yaml` beside this file."""

    base: Literal["default", "strict", "readonly", "unattended", "permissive"] = "default"
    """The shipped policy that holds where you have none of your own; `permissive` allows all."""


class DaemonConfig(StrictModel):
    """The background process."""

    idle_timeout: float = Field(default=600, ge=0)
    """Seconds without a client after which a daemon that a bridge started stops; 0 means never."""


class LogConfig(StrictModel):
    """Logging to standard error and the log file."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe message that is written."""
    format: Literal["text", "json"] = "text"
    """`text` is for people; `json` writes one object a line."""


class AuditConfig(StrictModel):
    """The record of calls."""

    keep_days: int | None = Field(default=None, ge=1)
    """Days for which records are kept; None keeps them for ever."""
    keep_megabytes: int | None = Field(default=None, ge=1)
    """Megabytes of records that are kept, the newest; None sets no limit."""
    value_bytes: int = Field(default=16_384, ge=0, le=10_000_000)
    """Bytes of a call's arguments and of its result that are recorded; of the rest the digest."""
    secret_fields: tuple[str, ...] = ()
    """Names of fields whose values are hidden, beside those that are known (password, token, …)."""


class TelemetryConfig(StrictModel):
    """OpenTelemetry spans; what is not said here comes from the standard OTEL_ variables."""

    enabled: bool | None = None
    """Whether spans are exported; None means: if `endpoint` or an OTEL_ variable names where to."""
    endpoint: str | None = Field(default=None, pattern=r"^(https?://|\$\{)")
    """Base URL of an OTLP/HTTP collector, as `http://127.0.0.1:4318`; None: OTEL_ variables."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers for the collector, such as a key; empty means OTEL_EXPORTER_OTLP_HEADERS."""
    service_name: str | None = None
    """Name of this host in traces; None means OTEL_SERVICE_NAME, else `mcp-agent-host`."""
    sample: float | None = Field(default=None, ge=0, le=1)
    """Share of new traces that is exported; None means OTEL_TRACES_SAMPLER, else all."""
    content: bool = False
    """Whether spans show arguments, results and servers' error messages, secrets hidden."""


class Settings(StrictModel):
    """The host's configuration, from one or more files."""

    servers: dict[ServerName, ServerConfig] = Field(default_factory=dict)
    """Tool servers by name; a tool is offered as `name__tool`."""
    mcp_servers: dict[ServerName, ServerConfig] = Field(default_factory=dict, alias="mcpServers")
    """The block that clients use, merged into `servers` when read; afterwards it is empty."""
    http: HttpConfig = HttpConfig()
    """The HTTP face."""
    store: StoreConfig = StoreConfig()
    """The database."""
    clients: dict[str, ClientConfig] = Field(default_factory=dict)
    """What single clients are shown, by the name of their token."""
    policy: PolicyBaseConfig = PolicyBaseConfig()
    """Which calls may be made."""
    daemon: DaemonConfig = DaemonConfig()
    """The background process."""
    log: LogConfig = LogConfig()
    """Logging."""
    approvals: ApprovalsConfig = ApprovalsConfig()
    """How people are asked."""
    audit: AuditConfig = AuditConfig()
    """The record of calls."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """OpenTelemetry spans."""
    reformulate: ReformulateConfig = ReformulateConfig()
    """How messages are rewritten, where that is asked for."""
    plugins: PluginsConfig = PluginsConfig()
    """Installed plugins and code mode."""
    sandbox: SandboxConfig = SandboxConfig()
    """The confined processes that plugins run in."""

    _referenced: frozenset[str] = PrivateAttr(default=frozenset())

    @model_validator(mode="after")
    def _distinct_prefixes(self) -> "Settings":
        owners: dict[str, str] = {}
        for name, server in {**self.servers, **self.mcp_servers}.items():
            prefix = name if server.prefix is None else server.prefix
            if not server.enabled:
                continue
            if prefix in owners:
                both = f"The servers {owners[prefix]!r} and {name!r} both have the prefix"
                message = f"{both} {prefix!r}; give one of them another `prefix`"
                block = "mcpServers" if name in self.mcp_servers else "servers"
                raise PlacedError(message, (block, name, "prefix"))
            owners[prefix] = name
        return self

    def secret_values(self) -> frozenset[str]:
        """Return the texts that must never be printed nor recorded, for redaction.

        They are all credentials, each variable and header whose name says secret, and whatever
        came from a `${VARIABLE}` of such a name; texts under 4 characters are left out.
        """
        found = set(self._referenced)
        _collect(self, found)
        # Collectors take their keys in headers of any name.
        found |= {value.get_secret_value() for value in self.telemetry.headers.values()}
        found |= {value.get_secret_value() for value in self.plugins.secrets.values()}
        return frozenset(text for text in found if len(text) >= 4)

    @property
    def wants_code_mode(self) -> bool:
        """Whether anybody is to be offered `host__run_code`."""
        return self.plugins.code_mode or any(one.expose == "code" for one in self.clients.values())

    def with_secrets(self, referenced: frozenset[str]) -> "Settings":
        """Return a copy that also counts these texts, expanded from the environment, as secret."""
        copy = self.model_copy()
        copy._referenced = self._referenced | referenced  # noqa: SLF001 - our own class
        return copy


def _collect(node: object, found: set[str], name: str | None = None) -> None:
    if isinstance(node, SecretStr):
        if name is None or is_secret_name(name):
            found.add(node.get_secret_value())
    elif isinstance(node, StrictModel):
        for field in type(node).model_fields:
            _collect(getattr(node, field), found)
    elif isinstance(node, dict):
        for key, value in _items(node):
            _collect(value, found, key)


def _items(node: Json) -> list[tuple[str, object]]:
    return [(str(key), value) for key, value in node.items()]
