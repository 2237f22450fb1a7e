"""Puts the host into a client's configuration, and takes it out again without a trace."""

import difflib
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

import host
from host.config.client_files import Client
from host.config.document import StrictModel
from host.config.files import write_private
from host.config.own import is_own_entry
from host.config.yaml import Json, as_mapping
from host.domain.errors import ConfigError

ENTRY = "host"
"""Name of the host's entry in a client's file, unless another is asked for."""

_Result = TypeVar("_Result")
_PASSED_ON = ("HOST_CONFIG", "HOST_DATA_DIR", "HOST_RUNTIME_DIR")
_SECRET = re.compile(
    r"(?i)([\w-]*(?:token|key|secret|password|authorization)[\w-]*[\"']?\s*:\s*[\"']?)[^\s\"',}]+"
    r"(?:[ ][^\s\"',}]+)?"
)


class Installation(StrictModel):
    """What is remembered of an installation, so that it can be undone exactly."""

    client: str
    """Name of the client."""
    entry: str
    """Name of the host's entry in the client's file."""
    file: str
    """The client's file."""
    existed: bool
    """Whether the file was there before."""
    mode: int
    """Its permission bits before."""
    digest: str
    """SHA-256 of the file as the installation left it."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a client's file, not yet made.

    Attributes:
        file: The client's file.
        before: Its bytes now; None if it is absent.
        after: Its bytes then; None if it is to be deleted.
    """

    file: Path
    before: bytes | None
    after: bytes | None

    def diff(self) -> str:
        """Return the change as a unified diff in which secrets are masked."""
        lines = difflib.unified_diff(
            (self.before or b"").decode("utf-8-sig", "replace").splitlines(keepends=True),
            (self.after or b"").decode("utf-8-sig", "replace").splitlines(keepends=True),
            fromfile=str(self.file) if self.before is not None else os.devnull,
            tofile=str(self.file) if self.after is not None else os.devnull,
        )
        text = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
        return _SECRET.sub(r"\1********", text)


def bridge_command() -> list[str]:
    """Return the words that start the stdio bridge with this very interpreter.

    `-P` keeps the working folder out of the import path: an editor starts the bridge in whatever
    folder it has open, and a `host` folder or a `json.py` there must not run.
    """
    return [sys.executable, "-P", "-m", "host", "serve", "--stdio"]


def bridge_env(token: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of the bridge: its token, and what moves the host's own folders."""
    env = {"HOST_TOKEN": token}
    env.update({name: environ[name] for name in _PASSED_ON if environ.get(name)})
    try:
        metadata.version("mcp-agent-host")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        env["PYTHONPATH"] = str(Path(host.__file__).parent.parent)
    return env


@dataclass(frozen=True, slots=True)
class Installer:
    """Installs the host in one client's file.

    Attributes:
        client: The client.
        file: Its configuration file.
        records: Folder of what is remembered of installations.
        entry: Name of the host's entry.
    """

    client: Client
    file: Path
    records: Path
    entry: str = ENTRY

    @property
    def backup(self) -> Path:
        """The client's file as it was, kept beside it."""
        return self.file.with_name(f"{self.file.name}.before-host")

    def plan_install(self, content: dict[str, Json]) -> Change:
        """Return the change that puts an entry in.

        Raises:
            ConfigError: The file cannot be read or edited, or has a foreign entry of this name.
        """
        before = self._read()
        text = self._decode(before)
        present = as_mapping(self._guard(self.client.parse, text).get(self.client.block)) or {}
        if self.entry in present and not is_own_entry(present[self.entry]):
            raise ConfigError(
                f"{self.client.title} already has a server {self.entry!r} that is not this host.",
                file=self.file,
                next_step="Choose another name with --name.",
            )
        after = self._guard(lambda old: self.client.add(old, self.entry, content), text)
        return Change(self.file, before, self._encode(after, before))

    def install(self, change: Change) -> None:
        """Make the change, keeping the file as it was beside it.

        Raises:
            ConfigError: The file changed meanwhile, or cannot be written.
        """
        self._require_unchanged(change)
        known = self._record()
        original, mode = change.before, self._mode()
        existed = change.before is not None
        if known is not None:  # again: what is kept is the file without us
            existed, mode = known.existed, known.mode
            original = self._plan_removal(known).after
        if existed and original is not None:
            write_private(self.backup, original)
        written = change.after or b""
        write_private(self.file, written)
        record = Installation(
            client=self.client.name,
            entry=self.entry,
            file=str(self.file),
            existed=existed,
            mode=mode,
            digest=_digest(written),
        )
        write_private(self._record_file, json.dumps(record.model_dump(), indent=1) + "\n")

    def plan_uninstall(self) -> Change:
        """Return the change that takes the entry out.

        A file that is as the installation left it gets its old bytes back; one that was edited
        since loses the entry only.

        Raises:
            ConfigError: The host is not installed there, or the file cannot be edited.
        """
        known = self._record()
        if known is not None:
            return self._plan_removal(known)
        before = self._read()
        text = self._decode(before)
        present = as_mapping(self._guard(self.client.parse, text).get(self.client.block)) or {}
        if not is_own_entry(present.get(self.entry)):
            raise ConfigError(
                f"The host is not installed in {self.client.title}.",
                file=self.file,
                next_step=f"Install it with `host install {self.client.name}`.",
            )
        after = self._guard(lambda old: self.client.remove(old, self.entry), text)
        return Change(self.file, before, self._encode(after, before))

    def uninstall(self, change: Change) -> None:
        """Make the change and forget the installation.

        Raises:
            ConfigError: The file changed meanwhile, or cannot be written.
        """
        self._require_unchanged(change)
        known = self._record()
        if change.after is None:
            self.file.unlink(missing_ok=True)
        else:
            write_private(self.file, change.after, mode=known.mode if known else self._mode())
        self.backup.unlink(missing_ok=True)
        self._record_file.unlink(missing_ok=True)

    def _plan_removal(self, known: Installation) -> Change:
        before = self._read()
        if before is not None and _digest(before) == known.digest:
            if not known.existed:
                return Change(self.file, before, None)
            if self.backup.is_file():
                return Change(self.file, before, self.backup.read_bytes())
        text = self._decode(before)
        after = self._guard(lambda old: self.client.remove(old, known.entry), text)
        return Change(self.file, before, self._encode(after, before) if before else before)

    @property
    def _record_file(self) -> Path:
        return self.records / f"{self.client.name}-{_digest(os.fsencode(self.file))[:8]}.json"

    def _record(self) -> Installation | None:
        try:
            return Installation.model_validate_json(self._record_file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def _mode(self) -> int:
        return self.file.stat().st_mode & 0o777 if self.file.exists() else 0o600

    def _read(self) -> bytes | None:
        try:
            return self.file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"It cannot be read: {error.strerror}.", file=self.file) from error

    def _decode(self, content: bytes | None) -> str:
        try:
            return (content or b"").decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ConfigError("The file is not UTF-8 text.", file=self.file) from None

    def _encode(self, text: str, before: bytes | None) -> bytes:
        mark = b"\xef\xbb\xbf" if (before or b"").startswith(b"\xef\xbb\xbf") else b""
        return mark + text.encode()

    def _guard(self, action: Callable[[str], _Result], text: str) -> _Result:
        """Do something with the text; an error then names the file."""
        try:
            return action(text)
        except ConfigError as error:
            raise ConfigError(
                error.message,
                file=self.file,
                line=error.line,
                next_step=error.next_step or "Repair it first, or add the entry by hand.",
            ) from None

    def _require_unchanged(self, change: Change) -> None:
        if self._read() != change.before:
            raise ConfigError("It was changed in the meantime; try again.", file=self.file)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
