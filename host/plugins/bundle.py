"""One plugin's files as they are now: read once, known by their digest, never imported."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from host.config.yaml import read_bytes
from host.domain.errors import ConfigError, NotFoundError
from host.plugins.manifest import MANIFEST, Manifest, parse_header, parse_manifest

CODE = "plugin.py"
"""Name of the code in a plugin's folder."""

TESTS = "tests.py"
"""Name of the tests in a plugin's folder."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a plugin consists of.

    Attributes:
        manifest: What it says of itself.
        code: Its source.
        files: Name to content of the files that make it up, tests apart.
        place: The folder or the single file they were read from.
    """

    manifest: Manifest
    code: str
    files: dict[str, bytes]
    place: Path

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """By which this very content is known and approved."""
        whole = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            whole.update(f"{name}\0{len(content)}\0".encode() + content)
        return whole.hexdigest()


def load_bundle(place: Path) -> Bundle:
    """Read a plugin's folder, or a plugin that is a single file.

    Raises:
        ConfigError: A file is missing, unreadable or faulty.
    """
    if place.is_dir():
        files = {name: read_bytes(place / name) for name in (MANIFEST, CODE)}
        manifest = parse_manifest(files[MANIFEST], file=place / MANIFEST)
        return Bundle(manifest, _text(files[CODE], place / CODE), files, place)
    if not place.exists():
        raise ConfigError(
            f"There is no plugin at {place}.", next_step="`host plugins new NAME` makes one."
        )
    content = read_bytes(place)
    source = _text(content, place)
    return Bundle(parse_header(source, file=place), source, {CODE: content}, place)


def load_snapshot(files: dict[str, bytes], place: Path) -> Bundle:
    """Return the plugin that some files make up, as `load_bundle` does.

    Raises:
        ConfigError: A file is missing or faulty.
    """
    source = _text(files.get(CODE, b""), place / CODE)
    if MANIFEST in files:
        manifest = parse_manifest(files[MANIFEST], file=place / MANIFEST)
    else:
        manifest = parse_header(source, file=place / CODE)
    return Bundle(manifest, source, files, place)


def load_tests(bundle: Bundle) -> str:
    """Read a plugin's tests.

    Raises:
        ConfigError: It has none.
    """
    file = bundle.place / TESTS if bundle.place.is_dir() else bundle.place.with_suffix(".tests.py")
    if not file.is_file():
        raise ConfigError(
            f"The plugin {bundle.name} has no tests.",
            next_step=f"Write functions named test_… into {file}.",
        )
    return _text(read_bytes(file), file)


def find_bundles(folder: Path) -> list[Path]:
    """Return the plugins of a folder: its folders with a manifest, and its .py files."""
    if not folder.is_dir():
        return []
    found = [place for place in sorted(folder.iterdir()) if not place.name.startswith((".", "_"))]
    return [
        place
        for place in found
        if (place / MANIFEST).is_file()
        or (place.suffix == ".py" and not place.name.endswith(".tests.py") and place.is_file())
    ]


def find_bundle(given: str, folders: list[Path]) -> Path:
    """Return the place of a plugin that was given as a path or by the name of its folder.

    Raises:
        NotFoundError: There is none.
    """
    path = Path(given).expanduser()
    if path.exists():
        return path.resolve()
    known: dict[str, Path] = {}
    for folder in folders:
        for place in find_bundles(folder):
            known.setdefault(place.stem if place.is_file() else place.name, place)
    if given not in known:
        raise NotFoundError("plugin", given, known, next_step=None)
    return known[given]


def _text(content: bytes, file: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"The file is not UTF-8: {error.reason}.", file=file) from None
