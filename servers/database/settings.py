"""The settings of the database server."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from typing_extensions import override

from servers.database.sqlite import hold_logs
from servers.launch import Reach, ServerSettings


class DatabaseSettings(BaseModel):
    """One database."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    url: SecretStr
    """SQLAlchemy URL: postgresql://…, sqlite:///FILE, mysql://…"""
    access: Literal["ro", "rw"] = "ro"
    """`ro`: nothing can be changed. `rw`: the tool `execute` may change data."""
    allow_powerful_role: bool = False
    """Whether a role that can reach beyond its data (superuser, server files) is accepted."""


def sqlite_file(named: str) -> Path:
    """Return the file that a SQLite address names; `~` is the home folder."""
    return Path(named.removeprefix("file:")).expanduser().absolute()


def _file_of(url: str) -> Path | None:
    """Return the file of a SQLite address; None for other databases."""
    scheme, mark, rest = url.partition(":///")
    if not mark or scheme.partition("+")[0] != "sqlite":
        return None
    file = rest.partition("?")[0]
    return sqlite_file(file) if file and file != ":memory:" else None


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

    @override
    def reach(self) -> Reach:
        """SQLite's files, the folder too where it writes, and databases' sockets."""
        read: list[Path] = []
        write: list[Path] = []
        elsewhere = False
        for database in self.databases.values():
            file = _file_of(database.url.get_secret_value())
            if file is None:
                elsewhere = True
            elif database.access == "rw":
                write.append(file.parent)
            else:
                read += [file.with_name(file.name + end) for end in ("", "-wal", "-shm")]
        return Reach(tuple(read), tuple(write), local_sockets=elsewhere)

    @override
    def prepare_confinement(self) -> None:
        """Have the write-ahead logs of SQLite files there, which are made by whoever opens them."""
        files = [_file_of(d.url.get_secret_value()) for d in self.databases.values()]
        hold_logs(file for file in files if file is not None)
