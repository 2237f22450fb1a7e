"""The script of a scripted model: what it answers, read from YAML."""

import re
from pathlib import Path
from typing import Literal

from pydantic import (
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
)

from host.config.shipped import shipped_folder
from host.config.yaml import load_yaml
from host.domain.errors import Fault, InvalidConfigError, NotFoundError

_STRICT = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ScriptedCall(BaseModel):
    """A tool call that the model makes."""

    model_config = _STRICT

    tool: str
    """Name of the tool, as it is offered."""
    arguments: dict[str, JsonValue] | str = {}
    """Its arguments; text is sent as it is, so that malformed JSON can be tried."""


class ScriptedFile(BaseModel):
    """A picture, sound or document that the model makes."""

    model_config = _STRICT

    media_type: str
    """Such as `image/png`."""
    data: Base64Bytes
    """Its content, in Base64."""


class ScriptedError(BaseModel):
    """A failure instead of a reply."""

    model_config = _STRICT

    fault: Fault
    """What kind of failure."""
    retry_after: float | None = Field(default=None, ge=0)
    """Seconds that the provider asks to wait; None says nothing."""
    times: int = Field(default=0, ge=0)
    """Failures before the turn's reply is given; 0 fails always."""


class ScriptedUsage(BaseModel):
    """Token counts that the model reports."""

    model_config = _STRICT

    input: int = Field(default=0, ge=0)
    """Tokens read."""
    output: int = Field(default=0, ge=0)
    """Tokens written."""


class Condition(BaseModel):
    """When a turn is given; all that is said must hold."""

    model_config = _STRICT

    prompt: str | None = None
    """Regular expression that the last user's text matches somewhere; None: any text."""
    after: str | None = None
    """Tool whose result is the newest part of the conversation; None: whatever it is."""
    offered: str | None = None
    """Tool that the model is offered; None: any."""
    asked: bool = False
    """Only as the first reply to what the user said."""

    @field_validator("prompt")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        return value


class Turn(BaseModel):
    """One reply of the model."""

    model_config = _STRICT

    when: Condition | None = None
    """Give this turn whenever it holds, instead of in its place."""
    reply: str | None = None
    """Text; `${prompt}`, `${result}` and `${step}` are filled in."""
    json_reply: JsonValue = Field(default=None, alias="json")
    """A JSON value: as text, or as the arguments of the output tool where there is one."""
    calls: tuple[ScriptedCall, ...] = ()
    """Tool calls, made at once."""
    files: tuple[ScriptedFile, ...] = ()
    """Files that come with the text."""
    thinking: str | None = None
    """Reasoning before the reply."""
    error: ScriptedError | None = None
    """Fail."""
    delay: float = Field(default=0, ge=0)
    """Seconds before the first token."""
    chunk: int = Field(default=16, ge=1)
    """Characters a streamed piece."""
    chunk_delay: float = Field(default=0, ge=0)
    """Seconds between streamed pieces."""
    cut_after: int | None = Field(default=None, ge=0)
    """Characters of text after which the stream breaks; None: it does not."""
    finish: Literal["stop", "length", "content_filter"] | None = None
    """Why the reply ended; None says what fits."""
    usage: ScriptedUsage | None = None
    """Token counts; None estimates them from the texts."""


class Script(BaseModel):
    """All that a scripted model says."""

    model_config = _STRICT

    description: str = ""
    """What it is for."""
    turns: tuple[Turn, ...] = Field(min_length=1)
    """The replies: in order, except those with `when`."""
    loop: bool = False
    """Begin again after the last turn; false fails."""


def load_script(name: str, folders: tuple[Path, ...] = ()) -> Script:
    """Read a script by its name, or by the path of its file.

    Args:
        name: A name, or a path that ends with `.yaml`, `.yml` or `.json`.
        folders: Folders that are searched before the shipped ones.

    Raises:
        NotFoundError: There is none.
        ConfigError: Its file is not a script.
    """
    return read_script(find_script(name, folders))


def script_names(folders: tuple[Path, ...] = ()) -> list[str]:
    """Return the names of the scripts there are."""
    places = [*folders, _shipped()]
    return sorted({file.stem for place in places for file in place.glob("*.yaml")})


def _shipped() -> Path:
    return shipped_folder("configs") / "models" / "scripts"


def is_path(name: str) -> bool:
    """Whether a script is named by the path of its file."""
    return name.endswith((".yaml", ".yml", ".json"))


def find_script(name: str, folders: tuple[Path, ...]) -> Path:
    """Return the file of a script.

    Raises:
        NotFoundError: There is none.
    """
    if is_path(name):
        return Path(name).expanduser()
    known = script_names(folders)
    if name not in known:  # before it becomes a path
        raise NotFoundError("scripted model", name, known)
    places = (folder / f"{name}.yaml" for folder in (*folders, _shipped()))
    return next(place for place in places if place.is_file())


def read_script(file: Path) -> Script:
    """Read a script's file.

    Raises:
        ConfigError: It is not a script.
    """
    document = load_yaml(file)
    try:
        return Script.model_validate(document.value)
    except ValidationError as error:
        raise InvalidConfigError(
            document.error(fault["msg"], place=tuple(fault["loc"])) for fault in error.errors()
        ) from None
