"""What a client connects to: a URL, or a command that speaks MCP on its stdin and stdout."""

from dataclasses import asdict, dataclass, field
from typing import Any

JSON = dict[str, Any]

ANSWER = {"username": "ada", "email": "ada@example.com"}
"""What every client fills into the form of `test_elicitation`."""

WATCHED = "test://watched-resource"


@dataclass(frozen=True)
class HttpTarget:
    """A Streamable HTTP endpoint."""

    url: str

    def as_json(self) -> JSON:
        """Return what the JavaScript driver reads."""
        return asdict(self)


@dataclass(frozen=True)
class StdioTarget:
    """A command that serves one client on stdio."""

    command: str
    args: list[str]
    env: dict[str, str] = field(default_factory=dict[str, str])

    def as_json(self) -> JSON:
        """Return what the JavaScript driver reads."""
        return asdict(self)


Target = HttpTarget | StdioTarget
