"""What a test of a server found, and the report of all of it."""

from dataclasses import dataclass, field, replace
from typing import Literal

Level = Literal["error", "warning", "note"]
"""`error` fails the test; `warning` does with `--strict`; `note` is for reading."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found."""

    level: Level
    check: str
    """Which check found it: `connect`, `schema`, `name`, `call`, `bad-input`, …"""
    subject: str
    """What it is about: a tool, or the server."""
    message: str
    """What was found, and what would be right."""
    era: str = ""
    """The era in which it was found; empty for both."""


@dataclass
class Report:
    """All that a test found."""

    target: str
    findings: list[Finding] = field(default_factory=list[Finding])
    eras: dict[str, str] = field(default_factory=dict[str, str])
    """Era → the revision that was spoken, or why none was."""
    tools: int = 0
    resources: int = 0
    """Resources and templates of resources."""
    prompts: int = 0
    calls: int = 0
    """Calls with arguments that fit."""
    bad_calls: int = 0
    """Calls with arguments that do not."""
    tokens: int = 0
    """About what the list of tools costs a model."""
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    """Era → from start to the end of the handshake."""

    @property
    def reached(self) -> bool:
        """Whether the server spoke MCP in at least one era."""
        return any(said[:1].isdigit() for said in self.eras.values())

    def add(self, level: Level, check: str, *, subject: str, message: str, era: str = "") -> None:
        """Add a finding, once; what both eras show is of no era."""
        finding = Finding(level=level, check=check, subject=subject, message=message, era=era)
        for place, known in enumerate(self.findings):
            if replace(known, era=era) == finding:
                if known.era != era:
                    self.findings[place] = replace(known, era="")
                return
        self.findings.append(finding)

    def failed(self, *, strict: bool = False) -> bool:
        """Return whether the server has not passed."""
        bad = ("error", "warning") if strict else ("error",)
        return any(finding.level in bad for finding in self.findings)
