"""The policies in force, one for each working folder that clients come from."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from host.config.load import LoadedSettings
from host.config.paths import Paths
from host.policy.live import LivePolicy
from host.policy.source import Found, find_sources

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
        self._read: OrderedDict[Path | None, LivePolicy] = OrderedDict()

    def of(self, folder: Path | None = None) -> LivePolicy:
        """Return the policy that holds for clients working in a folder.

        Args:
            folder: Whose own policy takes part if it is trusted; None: where the host was started.
        """
        place = folder or self._loaded().folder
        live = self._read.get(place)
        if live is None:
            live = self._read[place] = LivePolicy(lambda: self._find(place))
            if len(self._read) > FOLDER_LIMIT:
                self._read.popitem(last=False)
        return live

    def forget(self) -> None:
        """Read every policy anew: the configuration says something else."""
        self._read.clear()

    def _find(self, folder: Path | None) -> Found:
        base = self._loaded().settings.policy.base
        return find_sources(self._paths, folder=folder, base=base)
