"""Writes a new plugin to start from; used by `host plugins new`."""

from pathlib import Path

from host.config.names import check_name
from host.domain.errors import ConfigError
from host.plugins.bundle import CODE, TESTS
from host.plugins.manifest import MANIFEST

_MANIFEST = """\
name: {name}
description: Counts the words of a text.
version: 0.1.0

# What it may do beyond computing. Whoever installs it is shown this and has to agree.
capabilities:
  tools: []          # catalog tools that it calls, such as files__read_text or search__*
  state: false       # whether it keeps values between calls (host.state)

limits:
  timeout: 10        # seconds of its own time in one call
  memory_mb: 128
"""

_CODE = '''\
import re
from collections import Counter


@tool
def count_words(text: str, most: int = 5) -> dict:
    """Count the words of a text.

    Returns how many there are, and the most frequent ones.
    """
    words = re.findall(r"\\w+", text.lower())
    return {"words": len(words), "most": dict(Counter(words).most_common(most))}
'''

_TESTS = """\
from plugin import count_words


def test_words_are_counted():
    assert count_words("one two two") == {"words": 3, "most": {"two": 2, "one": 1}}


def test_an_empty_text_has_no_words():
    assert count_words("")["words"] == 0
"""


def write_plugin(name: str, folder: Path, *, single: bool = False) -> list[Path]:
    """Write a plugin that works, to be changed into something useful.

    Args:
        name: Its name.
        folder: Where its folder or file is put.
        single: Write one file with the manifest in its header.

    Returns:
        The files that were written.

    Raises:
        ConfigError: The name is unusable, or something of that name is there already.
    """
    problem = check_name(name)
    if problem:
        raise ConfigError(problem)
    manifest = _MANIFEST.format(name=name)
    if single:
        header = "".join(f"# {line}".rstrip() + "\n" for line in manifest.splitlines())
        file = folder / f"{name}.py"
        files = {file: f"# /// plugin\n{header}# ///\n\n{_CODE}"}
        files[folder / f"{name}.tests.py"] = _TESTS
    else:
        place = folder / name
        files = {place / MANIFEST: manifest, place / CODE: _CODE, place / TESTS: _TESTS}
    for file in files:
        if file.exists():
            raise ConfigError(f"{file} exists already.", next_step="Choose another name.")
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return list(files)
