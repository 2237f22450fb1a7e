"""What a plugin says of itself: plugin.yaml, or the header of a plugin that is a single file."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from host.config.document import StrictModel, validate_document
from host.config.servers import ServerName
from host.config.yaml import parse_yaml
from host.domain.errors import ConfigError
from host.sandbox.config import MEBIBYTE, Limits

MANIFEST = "plugin.yaml"
"""Name of the manifest in a plugin's folder."""

_HEADER = re.compile(r"\A(?:#!.*\n)?# /// plugin\n((?:#(?: .*)?\n)+?)# ///[ \t]*$", re.MULTILINE)
_TOOL_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]{1,128}")


def _check_pattern(pattern: str) -> str:
    if not _TOOL_PATTERN.fullmatch(pattern):
        raise ValueError(f"{pattern!r} is no tool name or pattern, such as files__read_text")
    return pattern


ToolPattern = Annotated[str, AfterValidator(_check_pattern)]
"""A catalog name, or a pattern with `*` and `?`."""


class SecretGrant(StrictModel):
    """Where one secret may go; a plugin never sees the secret itself."""

    tools: tuple[ToolPattern, ...] = Field(min_length=1)
    """Catalog tools, or patterns of them, that may be given it."""
    arguments: tuple[str, ...] = Field(min_length=1)
    """Names of the top-level arguments that may hold it."""


class Capabilities(StrictModel):
    """What a plugin may do beyond computing; approved at install."""

    tools: tuple[ToolPattern, ...] = ()
    """Catalog tools, or patterns of them, that it may call; empty means none."""
    state: bool = False
    """Whether it may keep values between calls."""
    secrets: dict[str, SecretGrant] = Field(default_factory=dict)
    """Secrets of host.yaml by name, and where each may go."""

    @property
    def nothing(self) -> bool:
        """Whether it can only compute."""
        return not (self.tools or self.state or self.secrets)

    def allows_tool(self, name: str) -> bool:
        """Whether a catalog tool may be called."""
        return any(fnmatchcase(name, pattern) for pattern in self.tools)

    def sentences(self) -> list[str]:
        """Return what is asked for, one sentence each, for whoever approves it."""
        said = [f"call the tool {pattern}" for pattern in self.tools]
        if self.state:
            said.append("keep values between calls")
        for name, grant in self.secrets.items():
            where = f"{', '.join(grant.arguments)} of {', '.join(grant.tools)}"
            said.append(f"put the secret {name!r} into {where}, without seeing it")
        return said

    def within(self, approved: "Capabilities") -> bool:
        """Whether nothing is asked for beyond what was approved; patterns count literally."""
        return (
            set(self.tools) <= set(approved.tools)
            and self.state <= approved.state
            and all(approved.secrets.get(name) == grant for name, grant in self.secrets.items())
        )


class LimitsConfig(StrictModel):
    """What one call may use; the host's own settings cap it."""

    timeout: float = Field(default=10, gt=0, le=600)
    """Seconds of its own time; waiting for a tool it called is not counted."""
    memory_mb: int = Field(default=128, ge=16)
    """Memory, in MiB, beyond a blank worker's."""
    calls: int = Field(default=1000, ge=0, le=10_000)
    """Tool calls, secrets and state accesses in one call."""
    output_kb: int = Field(default=64, ge=0, le=1024)
    """What `print` may produce in one call, in KiB; the rest is cut off."""
    state_kb: int = Field(default=1024, ge=1, le=10_240)
    """What it may keep for one user, in KiB."""
    workers: int = Field(default=4, ge=1, le=32)
    """Processes for one user's calls at once."""

    def of_sandbox(self) -> Limits:
        """Return them as the worker pool takes them."""
        return Limits(
            memory_bytes=self.memory_mb * MEBIBYTE,
            requests=self.calls,
            output_bytes=self.output_kb * 1024,
        )


class Manifest(StrictModel):
    """One plugin."""

    name: ServerName
    """Its tools are offered as `name__tool`."""
    description: str = Field(default="", max_length=1000)
    """What it is for, in a sentence."""
    version: str = Field(default="0.0.0", max_length=40)
    """Its author's version; display only."""
    capabilities: Capabilities = Capabilities()
    """What it may do beyond computing."""
    limits: LimitsConfig = LimitsConfig()
    """What one call may use."""
    labels: tuple[str, ...] = ()
    """Labels of what its tools return, such as `untrusted`, for policies."""


def parse_manifest(content: bytes | str, *, file: Path | None = None) -> Manifest:
    """Read plugin.yaml.

    Raises:
        ConfigError: It has faults; the message lists all of them, each with its line.
    """
    return validate_document(Manifest, parse_yaml(content, file=file))


def parse_header(source: str, *, file: Path | None = None) -> Manifest:
    """Read the manifest in the header of a plugin that is a single file.

    Raises:
        ConfigError: There is no header, or it has faults.
    """
    found = _HEADER.match(source)
    if found is None:
        raise ConfigError(
            "The file does not begin with a manifest.",
            file=file,
            line=1,
            next_step="Begin it with `# /// plugin`, lines like `# name: my-plugin`, and `# ///`.",
        )
    lines = [line[2:] for line in found[1].splitlines()]
    above = source[: found.start(1)].count("\n")
    return parse_manifest("\n" * above + "\n".join(lines) + "\n", file=file)
