"""The settings of the database server."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from servers.launch import ServerSettings


class DatabaseSettings(BaseModel):
    """One database."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    url: SecretStr
    """SQLAlchemy URL: postgresql://…, sqlite:///FILE, mysql://…"""
    access: Literal["ro", "rw"] = "ro"
    """`ro`: nothing can be changed. `rw`: the tool `execute` may change data."""
    allow_powerful_role: bool = False
    """Whether a role that can reach beyond its data (superuser, server files) is accepted."""


class Settings(ServerSettings):
    """Serve SQL databases to MCP clients, read-only unless configured otherwise."""

    databases: dict[str, DatabaseSettings] = Field(default_factory=dict[str, DatabaseSettings])
    """The databases by the names that tools use."""
    max_rows: int = Field(default=1000, gt=0)
    """Most rows of one answer."""
    max_bytes: int = Field(default=1_000_000, gt=0)
    """Most bytes of one answer, as JSON."""
    max_cell_chars: int = Field(default=10_000, gt=0)
    """Longest value; a longer one is cut and says so."""
    timeout_seconds: float = Field(default=30, gt=0)
    """Longest run of one statement, which is then cancelled in the database."""
