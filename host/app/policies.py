"""The policies in force, one for each working folder that clients come from."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from host.config.files import stamp_file
from host.config.load import LoadedSettings
from host.config.paths import Paths
from host.policy.live import LivePolicy
from host.policy.source import Found, find_sources, read_source

FOLDER_LIMIT = 128
"""Working folders whose policies are kept read."""


class FolderPolicies:
    """Finds the policy that holds for clients working in a folder.

    Args:
        paths: The user's folders.
        loaded: Returns the configuration in force.
    """

    def __init__(self, paths: Paths, loaded: Callable[[], LoadedSettings]) -> None:
        self._paths, self._loaded = paths, loaded
        self._read: OrderedDict[tuple[Path | None, tuple[Path, ...]], LivePolicy] = OrderedDict()

    def of(self, folder: Path | None = None, further: tuple[Path, ...] = ()) -> LivePolicy:
        """Return the policy that holds for clients working in a folder.

        Args:
            folder: Whose own policy takes part if it is trusted; None: where the host was started.
            further: Policies of agents, which can only tighten.
        """
        place = folder or self._loaded().folder
        live = self._read.get((place, further))
        if live is None:
            live = LivePolicy(lambda: self._find(place, further))
            self._read[place, further] = live
            if len(self._read) > FOLDER_LIMIT:
                self._read.popitem(last=False)
        return live

    def forget(self) -> None:
        """Read every policy anew: the configuration says something else."""
        self._read.clear()

    def _find(self, folder: Path | None, further: tuple[Path, ...]) -> Found:
        base = self._loaded().settings.policy.base
        found = find_sources(self._paths, folder=folder, base=base)
        stamps = {file: stamp_file(file) for file in further}
        sources = tuple(read_source(file, level="project") for file in further)
        return Found((*found.sources, *sources), found.warnings, {**found.watched, **stamps})
