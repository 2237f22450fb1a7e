"""What a policy file can say, field by field; everything that it cannot say is an error."""

import re
from datetime import datetime
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator

from host.config.document import StrictModel
from host.policy.answer import Action
from host.policy.attempt import Face, Kind
from host.policy.expression import parse_expression
from host.policy.json_schema import parse_schema
from host.policy.limit import Measure, Scope, Span
from host.policy.pointer import Json, parse_pointer
from host.policy.provenance import Origin, ValueKind
from host.policy.regex import parse_regex
from host.policy.time_window import parse_clock, parse_zone
from host.policy.url import AddressKind, host_pattern

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.[A-Za-z_][A-Za-z0-9_]*")


def _as_list(value: Json) -> Json:
    return [value] if isinstance(value, str | int | float) else value


def _checked_pointer(text: str) -> str:
    return parse_pointer(text).text


def _checked_regex(text: str) -> str:
    parse_regex(text, whole=True)
    return text


def _checked_schema(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    parse_schema(schema)
    return schema


def _checked_expression(text: str) -> str:
    parse_expression(text)
    return text


def _checked_code(name: str) -> str:
    if not _CODE.fullmatch(name):
        raise ValueError(f"{name!r} has to name a plugin and its function, such as hours.is_open")
    return name


def _checked_clock(text: str) -> str:
    parse_clock(text)
    return text


def _checked_zone(name: str) -> str:
    parse_zone(name)
    return name


def _checked_approver(text: str) -> str:
    kind, mark, name = text.partition(":")
    if not mark or kind not in ("role", "user", "client") or not name:
        raise ValueError(f"The approver {text!r} has to be role:…, user:… or client:…")
    return text


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]
"""One name or pattern, or a list of them; `*` is any characters, `?` any one."""
Kinds = Annotated[tuple[Kind, ...], BeforeValidator(_as_list), Field(min_length=1)]
Faces = Annotated[tuple[Face, ...], BeforeValidator(_as_list), Field(min_length=1)]
Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
PointerText = Annotated[str, AfterValidator(_checked_pointer)]
RegexText = Annotated[str, AfterValidator(_checked_regex)]
Clock = Annotated[str, AfterValidator(_checked_clock)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=80)]


class PathConfig(StrictModel):
    """A path in an argument."""

    inside: Names
    """Folders: absolute, below `~/`, or, in a project's file, relative to that file's folder."""
    access: Literal["read", "write"] | None = None
    """Only where the call reads, or may change, what the path names; None means either."""


class UrlConfig(StrictModel):
    """A URL in an argument."""

    scheme: Names | None = None
    """Such as `https`."""
    host: (
        Annotated[
            tuple[Annotated[str, AfterValidator(host_pattern)], ...],
            BeforeValidator(_as_list),
            Field(min_length=1),
        ]
        | None
    ) = None
    """Names or patterns, such as `example.com` or `*.example.com`, which is not `example.com`."""
    port: Annotated[tuple[int, ...], BeforeValidator(_as_list)] | None = None
    """Ports; a scheme's usual one counts where the URL has none."""
    address: Annotated[tuple[AddressKind, ...], BeforeValidator(_as_list)] | None = None
    """Kinds of literal IP addresses; a host that is a name, other than localhost, has none."""


class RangeConfig(StrictModel):
    """A number; a text that looks like one is not one."""

    min: float | None = None
    """Smallest number that matches."""
    max: float | None = None
    """Largest number that matches."""
    above: float | None = None
    """Numbers greater than this match."""
    below: float | None = None
    """Numbers less than this match."""

    @model_validator(mode="after")
    def _some(self) -> "RangeConfig":
        if not self.model_fields_set:
            raise ValueError("A range needs min, max, above or below")
        return self


class LengthConfig(StrictModel):
    """Characters of a text, items of a list, members of an object."""

    min: int | None = Field(default=None, ge=0)
    """Fewest that match."""
    max: int | None = Field(default=None, ge=0)
    """Most that match."""


class OriginConfig(StrictModel):
    """Where a value was seen; a plain list means `any`."""

    any: tuple[Origin, ...] | None = None
    """In at least one of these."""
    all: tuple[Origin, ...] = ()
    """In all of these."""
    none: tuple[Origin, ...] = ()
    """In none of these."""
    kinds: tuple[ValueKind, ...] | None = None
    """Only values of these kinds; None means of every kind."""


def _as_origins(value: Json) -> Json:
    listed = cast("list[Json]", value if isinstance(value, list) else [value])
    if listed and all(isinstance(one, str) for one in listed):
        return [{"any": listed}]
    return listed


Origins = Annotated[tuple[OriginConfig, ...], BeforeValidator(_as_origins), Field(min_length=1)]
"""Origins; a value fits where one of them fits."""


class ProvenanceConfig(StrictModel):
    """Where the decisive values inside an argument came from."""

    some: Origins | None = None
    """At least one value fits."""
    every: Origins | None = None
    """No value is there that does not fit."""

    @model_validator(mode="after")
    def _any(self) -> "ProvenanceConfig":
        if self.some is None and self.every is None:
            raise ValueError("provenance needs some or every")
        return self


class ArgumentConfig(StrictModel):
    """What an argument has to be; all that is given has to hold."""

    present: bool | None = None
    """Whether it is there at all; None means that the others say so."""
    type: Literal["string", "number", "integer", "boolean", "array", "object", "null"] | None = None
    """Its JSON type."""
    path: PathConfig | None = None
    """It is a path."""
    url: UrlConfig | None = None
    """It is a URL."""
    one_of: Annotated[tuple[JsonValue, ...] | None, Field(alias="in", min_length=1)] = None
    """It is one of these values; the number 5 and the text "5" are two values."""
    range: RangeConfig | None = None
    """It is a number in a range."""
    length: LengthConfig | None = None
    """It is this long."""
    regex: RegexText | None = None
    """The whole text matches this RE2 expression."""
    search: RegexText | None = None
    """Some part of the text matches this RE2 expression."""
    provenance: ProvenanceConfig | None = None
    """Its values came from the user, from trusted, private or untrusted results."""
    json_schema: Annotated[dict[str, JsonValue], AfterValidator(_checked_schema)] | None = Field(
        default=None, alias="schema"
    )
    """It is valid under this JSON Schema."""

    @model_validator(mode="after")
    def _some(self) -> "ArgumentConfig":
        if not self.model_fields_set:
            raise ValueError("An argument needs at least one of path, url, in, range, …")
        if self.present is False and len(self.model_fields_set) > 1:
            raise ValueError("An argument that is not present cannot be anything else")
        return self


class LabelsConfig(StrictModel):
    """Which labels there are; a plain list means `any`."""

    any: tuple[Label, ...] | None = None
    """At least one of these."""
    all: tuple[Label, ...] = ()
    """All of these."""
    none: tuple[Label, ...] = ()
    """None of these."""


def _as_labels(value: Json) -> Json:
    return {"any": _as_list(value)} if isinstance(value, str | list) else value


Labels = Annotated[LabelsConfig, BeforeValidator(_as_labels)]


class TimesConfig(StrictModel):
    """Days and hours."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    """Days on which it begins; none given means every day."""
    start: Clock = Field(default="00:00", alias="from")
    """First moment, such as 08:00."""
    end: Clock = Field(default="24:00", alias="to")
    """End; before `from` means on the next day."""
    zone: Annotated[str, AfterValidator(_checked_zone)] | None = None
    """Time zone such as Europe/Berlin; None means this machine's."""


class MatchConfig(StrictModel):
    """Which calls are meant; all that is given has to hold, and nothing given means every call."""

    method: Kinds | None = None
    """Kinds of requests: tool, resource, prompt, completion, sampling, elicitation, roots, …"""
    server: Names | None = None
    """Names of servers in host.yaml."""
    name: Names | None = None
    """Names in the catalog, such as `github__create_issue`, or a resource's URI."""
    tool: Names | None = None
    """Names as the server itself has them."""
    user: Names | None = None
    """Who calls."""
    role: Names | None = None
    """What the caller's credential is good for."""
    client: Names | None = None
    """Name of the caller's credential."""
    agent: Names | None = None
    """The agent on whose behalf the call is made."""
    face: Faces | None = None
    """Where the call came in."""
    attended: bool | None = None
    """Whether a person sits at the client."""
    trusted: bool | None = None
    """Whether the server is trusted in host.yaml."""
    asked_for: bool | None = None
    """Whether the user spoke of it: every word of the tool's own name is in what they said."""
    annotations: dict[str, JsonValue] = Field(default_factory=dict)
    """Annotations and their values; those of servers that are not trusted do not count."""
    labels: Labels | None = None
    """Labels of the server and the tool."""
    taint: Labels | None = None
    """Labels that the session has met."""
    arguments: dict[PointerText, ArgumentConfig] = Field(default_factory=dict)
    """Arguments by JSON pointer; `*` stands for each child, `**` for everything inside."""
    only_arguments: bool = False
    """Whether the call has no other arguments than those named in `arguments`."""
    times: TimesConfig | None = None
    """When the call is made."""
    when: Annotated[str, AfterValidator(_checked_expression)] | None = None
    """A condition in CEL, asked after the others."""
    plugin: Annotated[str, AfterValidator(_checked_code)] | None = None
    """A condition in code: `NAME.FUNCTION`, which a plugin marks with `@rule`; asked last."""

    @model_validator(mode="after")
    def _named(self) -> "MatchConfig":
        if self.only_arguments and not self.arguments:
            raise ValueError("only_arguments needs arguments that it can refer to")
        return self


class LimitConfig(StrictModel):
    """How much is within the rule's action."""

    most: float = Field(ge=0)
    """Largest amount in a span; 0 means none."""
    of: Measure = "calls"
    """What is counted."""
    per: Span
    """Over how long, up to now."""
    scope: Scope = Field(default="principal", alias="for")
    """Who shares the limit: everyone, all clients of a user, or each principal."""


class RuleConfig(StrictModel):
    """One rule."""

    name: Slug
    """Its name, unlike any other in the file."""
    action: Action
    """What happens to a call that matches."""
    because: str | None = None
    """The reason, as it is told to callers and approvers."""
    match: MatchConfig = MatchConfig()
    """Which calls it is about."""
    exceptions: tuple[MatchConfig, ...] = Field(default=(), alias="except")
    """Calls that it is not about; any one of them suffices."""
    approvers: Annotated[
        tuple[Annotated[str, AfterValidator(_checked_approver)], ...], BeforeValidator(_as_list)
    ] = ()
    """Who may answer: `role:…`, `user:…`, `client:…`; none given means anyone who may approve."""
    every_time: bool = False
    """Whether it asks although a remembered approval would cover the call."""
    limits: tuple[LimitConfig, ...] = ()
    """What is over a limit gets `over` instead of the action."""
    over: Literal["ask", "deny"] = "deny"
    """What happens to calls over a limit."""

    @model_validator(mode="after")
    def _fits(self) -> "RuleConfig":
        asks = self.action == "ask" or (self.limits and self.over == "ask")
        if not asks and (self.approvers or self.every_time):
            raise ValueError("approvers and every_time belong to a rule that asks")
        if self.limits and self.action == "deny":
            raise ValueError("A rule that denies has no use for limits")
        return self


class ExtendConfig(StrictModel):
    """A policy that comes with the host, taken over with exceptions to its rules."""

    policy: str
    """Its name: default, strict, readonly or unattended."""
    exceptions: dict[str, tuple[MatchConfig, ...]] = Field(default_factory=dict, alias="except")
    """Name of one of its rules → calls that the rule is not about."""


def _as_extend(value: Json) -> Json:
    return {"policy": value} if isinstance(value, str) else value


class AloneConfig(StrictModel):
    """What a tool does where some of its arguments are left out."""

    arguments: tuple[str, ...] = Field(min_length=1)
    """With no other arguments than these: what is not named here may be what sends."""
    labels: tuple[Label, ...] = Field(min_length=1)
    """Its labels then, in place of those in `tools`."""


class ToolLabelsConfig(StrictModel):
    """What is known of a server's tools."""

    labels: tuple[Label, ...] = ()
    """Labels of all its tools."""
    tools: dict[str, tuple[Label, ...]] = Field(default_factory=dict)
    """Pattern of the server's own tool names → labels; all patterns that match count."""
    alone: dict[str, AloneConfig] = Field(default_factory=dict)
    """Pattern of tool names → what it does where it is called with few arguments only."""
    reads: dict[str, tuple[PointerText, ...]] = Field(default_factory=dict)
    """Pattern of tool names → paths among the arguments that are only read by a changing tool."""
    texts: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Pattern of tool names → arguments that people read, as a note's or a place's name: what is
    in them does not say where the call goes."""


class SeenConfig(StrictModel):
    """Where a value of a test case was seen; a plain list means its origins."""

    origins: tuple[Origin, ...] = Field(min_length=1)
    """Where."""
    kind: ValueKind = "name"
    """What it is."""


def _as_seen(value: Json) -> Json:
    return {"origins": _as_list(value)} if isinstance(value, str | list) else value


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
    every_time: bool | None = None
    """Whether it is to be asked every time; None means either."""


class PolicyConfig(StrictModel):
    """A policy file."""

    version: Literal[1] = 1
    """Version of this format."""
    about: str | None = None
    """What the policy is for."""
    extends: tuple[Annotated[ExtendConfig, BeforeValidator(_as_extend)], ...] = ()
    """Policies that come with the host and hold as well."""
    default: Action | None = None
    """What happens to a call that no rule matches; the strictest of all files holds."""
    labels: dict[str, ToolLabelsConfig] = Field(default_factory=dict)
    """Server's name, or what it is (`npm:…`, `pypi:…`, `url:…`, `bundled:…`) → its labels."""
    rules: tuple[RuleConfig, ...] = ()
    """The rules; their order has no meaning."""
    tests: tuple[CaseConfig, ...] = ()
    """Cases that `host policy test` tries on this file alone."""


class CasesConfig(StrictModel):
    """A file of test cases beside a policy file of the same name."""

    version: Literal[1] = 1
    """Version of this format."""
    tests: tuple[CaseConfig, ...]
    """The cases."""
