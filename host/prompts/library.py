"""The prompts of a user: files, each of whose contents ever used is kept under its digest."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from host.config.yaml import read_bytes
from host.domain.errors import ConfigError, NotFoundError
from host.prompts.template import names_in, render_template

ENDINGS = (".md", ".txt", ".j2")
"""Names of prompt files end so."""

_REFERENCE = re.compile(r"(?P<name>[a-z0-9][a-z0-9_-]*)(?:@(?P<version>[0-9a-f]{4,64}))?")
_CHOICES = re.compile(r"\{#-?\s*(?P<name>[A-Za-z_]\w*):(?P<values>[^#]*?)-?#\}")
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt.

    Attributes:
        name: Its file's name without the ending.
        version: First digits of the SHA-256 of its text.
        text: The template; its first line is its title where it begins with `#`.
        file: Where it was read; None for an older version.
    """

    name: str
    version: str
    text: str
    file: Path | None = None

    @property
    def title(self) -> str:
        """What it is, in one line."""
        first = self.text.strip().splitlines()[:1]
        return first[0].lstrip("#{- ").rstrip("#}- ").strip()[:80] if first else ""

    @property
    def arguments(self) -> list[str]:
        """The values that it asks for."""
        return names_in(self.text, name=self.name)

    @property
    def choices(self) -> dict[str, list[str]]:
        """The values that it proposes, by argument: `{# audience: a child | an expert #}`."""
        found = _CHOICES.finditer(self.text)
        split = {one["name"]: one["values"].split("|") for one in found}
        return {name: [one.strip() for one in values] for name, values in split.items()}

    def render(self, values: Mapping[str, object]) -> str:
        """Return it with values filled in.

        Raises:
            ConfigError: A value is missing, or it is no template.
        """
        return render_template(self.text, values, name=f"{self.name}@{self.version}")


class PromptLibrary:
    """Prompts of some folders; the first folder that has a name wins.

    Args:
        folders: Where prompts lie.
        versions: Where every version that was read is kept.
    """

    def __init__(self, folders: Sequence[Path], versions: Path) -> None:
        self._folders = tuple(folders)
        self._versions = versions

    def names(self) -> list[str]:
        """Return the names of all prompts."""
        return sorted({file.stem for folder in self._folders for file in _files(folder)})

    def get(self, reference: str) -> Prompt:
        """Return a prompt, as `name` or as `name@version`.

        Raises:
            NotFoundError: There is none of this name or version.
        """
        found = _REFERENCE.fullmatch(reference)
        names = self.names()
        if found is None or not (found["name"] in names or self.versions(found["name"])):
            raise NotFoundError("prompt", reference, names)
        name, version = found["name"], found["version"]
        if version is None:
            return self._latest(name)
        self._keep_latest(name)
        known = self.versions(name)
        matching = [one for one in known if one.startswith(version)]
        if len(matching) != 1:
            raise NotFoundError("version of the prompt " + name, version, known)
        text = (self._versions / name / f"{matching[0]}.txt").read_text("utf-8")
        return Prompt(name, matching[0], text)

    def versions(self, name: str) -> list[str]:
        """Return the versions of a prompt that were ever read, the latest used first."""
        kept = list((self._versions / name).glob("*.txt"))
        return [file.stem for file in sorted(kept, key=lambda file: -file.stat().st_mtime_ns)]

    def _latest(self, name: str) -> Prompt:
        for folder in self._folders:
            for file in _files(folder):
                if file.stem == name:
                    prompt = _read(file)
                    self._keep(prompt)
                    return prompt
        raise NotFoundError("prompt", name, self.names())

    def _keep_latest(self, name: str) -> None:
        if name in self.names():
            self._latest(name)

    def _keep(self, prompt: Prompt) -> None:
        place = self._versions / prompt.name / f"{prompt.version}.txt"
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(prompt.text, "utf-8", newline="")


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix in ENDINGS and file.is_file())


def _read(file: Path) -> Prompt:
    try:
        text = read_bytes(file).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError("The file is not UTF-8 text.", file=file) from error
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return Prompt(file.stem, digest, text, file)
