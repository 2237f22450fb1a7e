"""What a policy file can say, field by field; everything that it cannot say is an error."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator

from host.config.document import StrictModel
from host.policy.answer import Action
from host.policy.argument_document import ArgumentConfig, Names, as_list
from host.policy.attempt import Face, Kind
from host.policy.case_document import CaseConfig, Label
from host.policy.expression import parse_expression
from host.policy.limit import Measure, Scope, Span
from host.policy.pointer import Json, parse_pointer
from host.policy.time_window import parse_clock, parse_zone

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.[A-Za-z_][A-Za-z0-9_]*")


def _checked_pointer(text: str) -> str:
    return parse_pointer(text).text


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


Kinds = Annotated[tuple[Kind, ...], BeforeValidator(as_list), Field(min_length=1)]
Faces = Annotated[tuple[Face, ...], BeforeValidator(as_list), Field(min_length=1)]
PointerText = Annotated[str, AfterValidator(_checked_pointer)]
Clock = Annotated[str, AfterValidator(_checked_clock)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=80)]


class LabelsConfig(StrictModel):
    """Which labels there are; a plain list means `any`."""

    any: tuple[Label, ...] | None = None
    """At least one of these."""
    all: tuple[Label, ...] = ()
    """All of these."""
    none: tuple[Label, ...] = ()
    """None of these."""


def _as_labels(value: Json) -> Json:
    return {"any": as_list(value)} if isinstance(value, str | list) else value


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
        tuple[Annotated[str, AfterValidator(_checked_approver)], ...], BeforeValidator(as_list)
    ] = ()
    """Who may answer: `role:…`, `user:…`, `client:…`; none given means anyone who may approve."""
    every_time: bool | Literal["unless_constrained"] = False
    """Whether it asks although a grant would cover the call; with `unless_constrained` only a grant
    counts that says something of the arguments."""
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
