"""Where policies come from: the host itself, an organisation, the user, a project's folder."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from host.config.files import Stamp, stamp_file
from host.config.paths import Paths
from host.config.shipped import shipped_folder
from host.config.trust import TrustStore
from host.config.yaml import read_bytes
from host.domain.errors import ConfigError, NotFoundError, PolicyError
from host.domain.shell import quoted
from host.policy.rule import Level

PROJECT_FILE = "host.policy.yaml"
"""Name of a project's policy in its folder."""
CASES_SUFFIX = ".test.yaml"
"""End of the name of a file that has test cases only."""
LABELS_FILE = "labels.yaml"
"""Name of the shipped table of known servers, beside the shipped policies."""
ORGANISATION = Path(
    "C:/ProgramData/mcp-agent-host/policies"
    if sys.platform == "win32"
    else "/etc/mcp-agent-host/policies"
)
"""Folder of the policies that hold for every user of a machine."""


@dataclass(frozen=True, slots=True)
class Source:
    """One policy file.

    Attributes:
        level: Whose it is.
        file: Where it is.
        content: The very bytes that were read, or checked to be trusted.
    """

    level: Level
    file: Path
    content: bytes

    @property
    def name(self) -> str:
        """First part of its rules' ids."""
        return self.file.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Found:
    """The policy files that hold.

    Attributes:
        sources: The files.
        warnings: What was found and does not hold, in sentences for the user.
        watched: Files and folders whose change can change what holds, with their stamps from before
            they were read.
    """

    sources: tuple[Source, ...]
    warnings: tuple[str, ...] = ()
    watched: Mapping[Path, Stamp | None] = field(default_factory=dict[Path, Stamp | None])


def shipped_names() -> list[str]:
    """Return the names of the policies that come with the host."""
    return [file.stem for file in _policy_files(shipped_folder("policies"))]


def shipped_source(name: str) -> Source:
    """Return a policy that comes with the host.

    Raises:
        NotFoundError: There is none of that name.
    """
    names = shipped_names()
    if name not in names:
        raise NotFoundError("policy that comes with the host", name, names)
    return read_source(shipped_folder("policies") / f"{name}.yaml", level="shipped")


def read_source(file: Path, *, level: Level) -> Source:
    """Read a policy file.

    Raises:
        PolicyError: It cannot be read.
    """
    try:
        return Source(level, file, read_bytes(file))
    except ConfigError as error:
        raise PolicyError(str(error), problems=[error]) from None


def find_sources(
    paths: Paths,
    *,
    folder: Path | None = None,
    base: str = "default",
    organisation: Path = ORGANISATION,
) -> Found:
    """Find the policy files that hold: the organisation's, the user's, a trusted project's.

    Args:
        paths: The user's folders; theirs are in `policies` of the configuration's folder.
        folder: A working folder; its file holds once `host trust` has pinned it.
        base: Name of the shipped policy that holds where the user has none of their own.
        organisation: The organisation's folder.

    Raises:
        PolicyError: One of them cannot be read; then none may be left out.
    """
    own = paths.config / "policies"
    watched = {place: stamp_file(place) for place in (organisation, own)}
    files = {"organisation": _policy_files(organisation), "user": _policy_files(own)}
    watched |= {file: stamp_file(file) for listed in files.values() for file in listed}
    sources = [read_source(file, level="organisation") for file in files["organisation"]]
    sources += [read_source(file, level="user") for file in files["user"]]
    if not files["user"]:
        sources.append(shipped_source(base))
    warnings: list[str] = []
    if folder is not None:
        file = folder.absolute() / PROJECT_FILE
        watched |= {place: stamp_file(place) for place in (file, paths.trust)}
        sources += _project(file, TrustStore(paths.trust), warnings)
    return Found(tuple(sources), tuple(warnings), watched)


def policy_places(
    paths: Paths, *, folder: Path | None = None, organisation: Path = ORGANISATION
) -> tuple[Path, ...]:
    """Return where policies may come to be, for watching: a name in each folder."""
    folders = [organisation, paths.config / "policies", *([folder.absolute()] if folder else [])]
    return tuple(one / PROJECT_FILE for one in folders)


def _project(file: Path, trust: TrustStore, warnings: list[str]) -> list[Source]:
    try:
        found = trust.read(file)
    except ConfigError as error:
        raise PolicyError(str(error), problems=[error]) from None
    if found.content is not None:
        return [Source("project", file, found.content)]
    if found.reason is not None:
        warnings.append(
            f"{found.reason} It has no effect until you read it and run "
            f"`host trust {quoted(file.parent)}`."
        )
    return []


def _policy_files(folder: Path) -> list[Path]:
    try:
        names = sorted(file.name for file in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PolicyError(
            f"The folder {folder} cannot be read: {error.strerror}.",
            next_step="Nothing runs until it can; check its owner and permission bits.",
        ) from error
    kept = [
        name
        for name in names
        if name.endswith((".yaml", ".yml", ".json"))
        and not name.startswith(".")
        and not name.endswith(CASES_SUFFIX)
        and name != LABELS_FILE
    ]
    return [folder / name for name in kept]
