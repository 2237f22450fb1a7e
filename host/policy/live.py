"""The policy of a running host: re-read when a file changes, and nothing runs when it is wrong."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from host.config.files import Stamp, is_unchanged
from host.config.watch import notices
from host.domain.errors import PolicyError
from host.policy.policy_set import PolicySet
from host.policy.source import Found


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Another policy holds, or none does.

    Attributes:
        before: Digest of the policy that held; None if none did.
        after: Digest of the one that holds; None if none does, so that nothing may run.
        error: Why none does.
        files: The files that were read.
        warnings: What has no effect.
    """

    before: str | None
    after: str | None
    error: PolicyError | None = None
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    def detail(self) -> dict[str, Any]:
        """Return it for the record."""
        return {
            "before": self.before,
            "after": self.after,
            "error": None if self.error is None else str(self.error),
            "files": [str(file) for file in self.files],
        }


class LivePolicy:
    """Holds the policy in force; unlike configuration, an unreadable one leaves nothing in force.

    Args:
        find: Finds the policy files; it is asked again at each change, since files come and go.
        places: Files and folders to watch whatever is found, see `policy_places`.
    """

    def __init__(self, find: Callable[[], Found], places: Iterable[Path] = ()) -> None:
        self._find = find
        self._places = tuple(places)
        self._watched: Mapping[Path, Stamp | None] = {}
        self._policy: PolicySet | None = None
        self._error: PolicyError | None = PolicyError("The policy has not been read yet.")
        self._changed = False
        self.refresh()

    @property
    def current(self) -> PolicySet:
        """The policy in force.

        Raises:
            PolicyError: There is none, because a file cannot be read; nothing may run.
        """
        if self._policy is None:
            raise self._error or PolicyError("There is no policy.")
        return self._policy

    def refresh(self) -> PolicyChange | None:
        """Read the files again if one of them changed; it costs a few file stamps if none did.

        Returns:
            What changed; None if nothing that matters did.
        """
        watched, broken = self._watched, self._error is not None
        if not broken and all(is_unchanged(file, stamp) for file, stamp in watched.items()):
            return None
        before = None if self._policy is None else self._policy.digest
        said = None if self._error is None else str(self._error)
        policy, error = self._read()
        # One assignment each, and the policy first: whoever looks in between finds an error.
        self._policy, self._error = policy, error
        after = None if policy is None else policy.digest
        if after == before and (error is None or str(error) == said):
            return None
        files = () if policy is None else tuple(one.file for one in policy.sources)
        warnings = () if policy is None else policy.warnings
        return PolicyChange(before, after, error, files, warnings)

    async def watch(self, stop: anyio.Event | None = None) -> AsyncGenerator[PolicyChange, None]:
        """Refresh after each edit, and yield what changed.

        Args:
            stop: Ends the watch when set; None watches until cancelled.
        """
        async with aclosing(notices({*self._places, *self._watched}, stop)) as looks:
            async for _ in looks:
                change = self.refresh()
                if change is not None:
                    yield change

    def _read(self) -> tuple[PolicySet | None, PolicyError | None]:
        try:
            found = self._find()
            # Stamps from before the reading, so that no edit falls in between.
            self._watched = found.watched
            return PolicySet.load(found.sources, warnings=found.warnings), None
        except PolicyError as error:
            return None, error
