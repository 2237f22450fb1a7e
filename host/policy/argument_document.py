"""What a policy file can say of an argument: typed matchers, field by field."""

from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator

from host.config.document import StrictModel
from host.policy.json_schema import parse_schema
from host.policy.pointer import Json
from host.policy.provenance import Origin, ValueKind
from host.policy.regex import parse_regex
from host.policy.url import AddressKind, host_pattern


def as_list(value: Json) -> Json:
    """Return one name or number as a list of it."""
    return [value] if isinstance(value, str | int | float) else value


def _checked_regex(text: str) -> str:
    parse_regex(text, whole=True)
    return text


def _checked_schema(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    parse_schema(schema)
    return schema


Names = Annotated[tuple[str, ...], BeforeValidator(as_list), Field(min_length=1)]
"""One name or pattern, or a list of them; `*` is any characters, `?` any one."""
RegexText = Annotated[str, AfterValidator(_checked_regex)]


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
            BeforeValidator(as_list),
            Field(min_length=1),
        ]
        | None
    ) = None
    """Names or patterns, such as `example.com` or `*.example.com`, which is not `example.com`."""
    port: Annotated[tuple[int, ...], BeforeValidator(as_list)] | None = None
    """Ports; a scheme's usual one counts where the URL has none."""
    address: Annotated[tuple[AddressKind, ...], BeforeValidator(as_list)] | None = None
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
