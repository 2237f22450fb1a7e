"""Finds agents in their files, and reads a file again when it was edited."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from host.agents.config import AgentConfig
from host.config.document import validate_document
from host.config.expand import expand
from host.config.files import FolderStamp, stamp_file, stamp_folder
from host.config.yaml import Document, load_yaml, read_bytes
from host.domain.errors import ConfigError, MissingCredentialError, NotFoundError, PolicyError
from host.domain.jsonrpc import as_object
from host.policy.policy_set import PolicySet
from host.policy.source import read_source, shipped_source
from host.prompts.library import PromptLibrary
from host.prompts.template import is_plain, names_in, render_template

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
"""Names that the tool `agent__NAME` can have with every client."""

ENDINGS = (".yaml", ".yml", ".json")

PLANNING = (
    "Before anything else write a short numbered plan of how you will answer. Then work through it "
    "step by step, and say when you change it."
)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as it stands in its file now.

    Attributes:
        digest: First digits of the SHA-256 of all that it says.
        template: Its instructions before values are filled in.
        policy: A policy that its calls have to keep to besides.
    """

    name: str
    config: AgentConfig
    file: Path | None
    digest: str
    template: str
    policy: Path | None = None

    def instructions(self, *, user: str = "", now: datetime | None = None) -> str:
        """Return the instructions for a run.

        Raises:
            ConfigError: The template asks for a value that is not there.
        """
        text = self.template.strip()
        if not is_plain(text):
            values: dict[str, object] = {
                "agent": self.name,
                "user": user,
                "date": (now or datetime.now().astimezone()).strftime("%Y-%m-%d"),
                "vars": self.config.variables,
            }
            text = render_template(self.template, values, name=f"instructions of {self.name}")
        return "\n\n".join(
            part for part in (text, PLANNING if self.config.planning else "") if part
        )


@dataclass(slots=True)
class _Reading:
    """One look at all files."""

    stamps: dict[Path, object] = field(default_factory=dict[Path, object])
    folders: tuple[FolderStamp | None, ...] = ()
    """The folders as they were; None for one that may have changed since and look the same."""
    agents: dict[str, Agent] = field(default_factory=dict[str, Agent])
    errors: dict[str, ConfigError] = field(default_factory=dict[str, ConfigError])
    waits: bool = False
    """Whether a credential is missing, which no file tells of when it comes."""


class AgentLibrary:
    """The agents of some folders; the first folder that has a name wins.

    Args:
        folders: Where agents' files lie.
        prompts: For instructions by reference.
        variables: For `${VARIABLE}`s of the files.
        credential: Returns a credential by its name; None where it is not set.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        prompts: PromptLibrary,
        *,
        variables: Mapping[str, str] = os.environ,
        credential: Callable[[str], str | None] = lambda name: None,
    ) -> None:
        self.folders = tuple(folders)
        self._prompts = prompts
        self._variables = variables
        self._credential = credential
        self.on_secrets: Callable[[set[str]], None] = lambda values: None
        """Is told of secrets that files hold or refer to."""
        self.edition = 0
        """Another number whenever the files that were read last say something else."""
        self._said: dict[str, str] = {}
        self._added: dict[str, Path] = {}
        self._reading: _Reading | None = None

    def add(self, name: str, file: Path) -> Agent:
        """Add one agent from a file of any place.

        Raises:
            ConfigError: The file is wrong.
        """
        agent = self._read(name, file, {})
        self._added[name] = file
        self._reading = None
        return agent

    def agents(self) -> dict[str, Agent]:
        """Return all agents whose files are right, by name."""
        return dict(self._current().agents)

    def errors(self) -> dict[str, ConfigError]:
        """Return what is wrong with the other files, by agent."""
        return dict(self._current().errors)

    def get(self, name: str) -> Agent:
        """Return an agent.

        Raises:
            NotFoundError: There is none of this name.
            ConfigError: Its file is wrong.
        """
        current = self._current()
        if name in current.errors:
            raise current.errors[name]
        if name not in current.agents:
            raise NotFoundError("agent", name, current.agents)
        return current.agents[name]

    def files(self) -> dict[str, Path]:
        """Return each agent's file, whether it is right or wrong."""
        found = dict(self._added)
        for folder in self.folders:
            if not folder.is_dir():
                continue
            for file in sorted(folder.iterdir()):
                if file.suffix in ENDINGS and file.is_file():
                    found.setdefault(file.stem, file)
        return found

    def _current(self) -> _Reading:
        """Return what the files say, read again only if one of them has changed."""
        reading = self._reading
        if reading is not None and not reading.waits and self._is_as(reading):
            return reading
        folders = self._stamps()
        files = self.files()
        fresh = _Reading(folders=folders)
        for name, file in files.items():
            try:
                fresh.agents[name] = self._read(name, file, fresh.stamps)
            except MissingCredentialError as error:
                fresh.errors[name], fresh.waits = error, True
            except ConfigError as error:
                fresh.errors[name] = error
            except NotFoundError as error:
                fresh.errors[name] = ConfigError(str(error), file=file)
        self._reading = fresh
        said = {name: agent.digest for name, agent in fresh.agents.items()}
        if said != self._said:
            self._said = said
            self.edition += 1
        return fresh

    def _is_as(self, reading: _Reading) -> bool:
        """Return whether no file has changed, come or gone since a reading."""
        if any(stamp_file(file) != stamp for file, stamp in reading.stamps.items()):
            return False
        if None not in reading.folders and reading.folders == tuple(
            map(stamp_folder, self.folders)
        ):
            return True
        folders = self._stamps()
        files = self.files()
        names = {*reading.agents, *reading.errors}
        if set(files) != names or not set(files.values()) <= set(reading.stamps):
            return False
        reading.folders = folders
        return True

    def _stamps(self) -> tuple[FolderStamp | None, ...]:
        """Return how the folders stand; None also for one with a link that leads nowhere yet."""
        stamps = [stamp_folder(folder) for folder in self.folders]
        for place, folder in enumerate(self.folders):
            if stamps[place] is not None and folder.is_dir():
                agents = (file for file in folder.iterdir() if file.suffix in ENDINGS)
                if not all(file.is_file() for file in agents):
                    stamps[place] = None
        return tuple(stamps)

    def _read(self, name: str, file: Path, stamps: dict[Path, object]) -> Agent:
        stamps[file] = stamp_file(file)
        document = load_yaml(file)
        credentials = self._credentials(document)
        expansion = expand(document, {**self._variables, **credentials})
        self.on_secrets({*expansion.secrets, *credentials.values()})
        config = validate_document(
            AgentConfig, document, value=expansion.value, known=expansion.errors
        )
        if not NAME.fullmatch(name):
            raise document.error(
                f"An agent cannot be called {name!r}, which is its file's name.",
                next_step="Use small letters, digits, - and _, at most 32, and begin with one of "
                "the first two.",
            )
        if config.name and config.name != name and file not in self._added.values():
            raise document.error(
                f"The agent is called {config.name!r}, but its file {name!r}.",
                place=("name",),
                next_step="Rename one of them, or leave the name out.",
            )
        template = self._template(document, file, config, stamps)
        policy = self._policy(document, file, config, stamps)
        said = (config.model_dump_json() + "\0" + template).encode()
        digest = hashlib.sha256(said).hexdigest()[:12]
        return Agent(name, config, file, digest, template, policy)

    def _credentials(self, document: Document) -> dict[str, str]:
        """Return the credentials that a file says it needs.

        Raises:
            MissingCredentialError: One of them is not set.
        """
        declared = as_object(document.value) or {}
        found: dict[str, str] = {}
        for name, about in (as_object(declared.get("credentials")) or {}).items():
            value = self._credential(str(name))
            if value is None:
                raise MissingCredentialError(
                    f"The agent needs {name} ({about}), which is not set.",
                    file=document.file,
                    line=document.line(("credentials", name)),
                    field=f"credentials.{name}",
                    next_step=f"`host keys set {str(name).lower()}`, or set the variable {name}.",
                )
            found[str(name)] = value
        return found

    def _template(
        self, document: Document, file: Path, config: AgentConfig, stamps: dict[Path, object]
    ) -> str:
        template = config.instructions
        if config.instructions_file is not None:
            text_file = (file.parent / config.instructions_file).absolute()
            stamps[text_file] = stamp_file(text_file)
            template = read_bytes(text_file).decode("utf-8", "replace")
        if config.prompt is not None:
            prompt = self._prompts.get(config.prompt)
            template = prompt.text
            if prompt.file is not None:
                stamps[prompt.file] = stamp_file(prompt.file)
        unknown = set(names_in(template, name=file.stem)) - {"agent", "user", "date", "vars"}
        if unknown:
            raise document.error(
                f"The instructions ask for {', '.join(sorted(unknown))}, which nobody gives.",
                place=("instructions",),
                next_step="Give it under `variables` and write `{{ vars.NAME }}`.",
            )
        return template

    @staticmethod
    def _policy(
        document: Document, file: Path, config: AgentConfig, stamps: dict[Path, object]
    ) -> Path | None:
        """Return an agent's policy file, which can be read and only tightens.

        Raises:
            ConfigError: It cannot be read, or would allow something.
        """
        if config.policy is None:
            return None
        place = (file.parent / config.policy).absolute()
        stamps[place] = stamp_file(place)
        try:
            own = read_source(place, level="project")
            checked = PolicySet.load([shipped_source("default"), own])
        except PolicyError as error:
            raise document.error(str(error), place=("policy",)) from error
        if checked.warnings:
            raise document.error(
                " ".join(checked.warnings),
                place=("policy",),
                next_step="Let it ask and deny; what is allowed, your own policies say.",
            )
        return place
