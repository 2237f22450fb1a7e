"""What the user installed: which plugins, by which digest, with which capabilities approved."""

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from host.config.document import StrictModel
from host.config.files import lock_file, write_private
from host.config.records import read_records
from host.domain.errors import ConfigError, NotFoundError
from host.domain.shell import quoted
from host.plugins.bundle import Bundle, load_bundle, load_snapshot
from host.plugins.manifest import Capabilities

REGISTER = "plugins.json"
"""File of the data folder that says what is installed."""

SNAPSHOTS = "plugins"
"""Folder of the data folder that holds the very files that were approved."""


class Installed(StrictModel):
    """One plugin that the user approved."""

    name: str
    """Its name."""
    place: str
    """Folder or file that it was installed from."""
    digest: str
    """Digest of the files that were approved."""
    capabilities: Capabilities
    """What was approved."""
    editable: bool = False
    """Whether edits at its place take effect without being asked about."""
    enabled: bool = True
    """Whether its tools are offered."""
    at: str
    """When it was approved, in UTC."""


_ENTRIES = TypeAdapter(list[Installed])


class Register:
    """The installed plugins of one user, in two places of the data folder.

    A plugin runs from a private copy that was made when it was approved, and only while the copy
    still has the approved digest; so neither an edit at its place nor one of the copy takes effect
    unasked.

    Args:
        data: The data folder.
    """

    def __init__(self, data: Path) -> None:
        self.file = data / REGISTER
        self._snapshots = data / SNAPSHOTS

    def entries(self) -> list[Installed]:
        """Return what is installed, by name.

        Raises:
            ConfigError: The register is damaged; then nothing is installed.
        """
        found = read_records(
            self.file,
            _ENTRIES,
            what="The register of plugins",
            next_step="Delete it and install the plugins again.",
        )
        return sorted(found, key=lambda one: one.name)

    def entry(self, name: str) -> Installed:
        """Return one plugin's entry.

        Raises:
            NotFoundError: It is not installed.
        """
        known = {entry.name: entry for entry in self.entries()}
        if name not in known:
            step = None if known else "`host plugins install` installs one."
            raise NotFoundError("installed plugin", name, known, next_step=step)
        return known[name]

    def approve(self, bundle: Bundle, *, editable: bool = False) -> Installed:
        """Install a plugin as it is now, in place of an earlier version."""
        entry = Installed(
            name=bundle.name,
            place=str(bundle.place),
            digest=bundle.digest,
            capabilities=bundle.manifest.capabilities,
            editable=editable,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        folder = self._snapshots / bundle.name / bundle.digest[:16]
        for name, content in bundle.files.items():
            write_private(folder / name, content)
        with lock_file(self.file):
            self._write([*(one for one in self.entries() if one.name != bundle.name), entry])
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        return entry

    def enable(self, name: str, *, enabled: bool) -> Installed:
        """Offer a plugin's tools, or stop to.

        Raises:
            NotFoundError: It is not installed.
        """
        with lock_file(self.file):
            entry = self.entry(name).model_copy(update={"enabled": enabled})
            self._write([*(one for one in self.entries() if one.name != name), entry])
        return entry

    def remove(self, name: str) -> None:
        """Forget a plugin; its files at their place stay, and so does what it stored.

        Raises:
            NotFoundError: It is not installed.
        """
        with lock_file(self.file):
            self.entry(name)
            self._write(one for one in self.entries() if one.name != name)
        shutil.rmtree(self._snapshots / name, ignore_errors=True)

    def approved(self, entry: Installed) -> Bundle:
        """Return the files that were approved.

        Raises:
            ConfigError: The private copy is gone or was changed.
        """
        folder = self._snapshots / entry.name / entry.digest[:16]
        try:
            files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        except OSError:
            files = {}
        bundle = load_snapshot(files, Path(entry.place)) if files else None
        if bundle is None or bundle.digest != entry.digest:
            raise ConfigError(
                f"The approved copy of the plugin {entry.name} was changed or is gone.",
                next_step=f"Run `host plugins install {quoted(entry.place)}` again.",
            )
        return bundle

    def current(self, entry: Installed) -> Bundle:
        """Return the files at the plugin's place, as they are now.

        Raises:
            ConfigError: They are gone or faulty.
        """
        return load_bundle(Path(entry.place))

    def _write(self, entries: Iterable[Installed]) -> None:
        write_private(self.file, _ENTRIES.dump_json(list(entries), indent=1))
