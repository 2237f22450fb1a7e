"""Words of the commands that messages propose, written so that a shell takes each as one."""

import shlex
import subprocess
import sys
from pathlib import Path


def quoted(word: str | Path) -> str:
    """Return a word as it is typed at a prompt; it is left as it is where nothing needs quotes."""
    text = str(word)
    return subprocess.list2cmdline([text]) if sys.platform == "win32" else shlex.quote(text)
