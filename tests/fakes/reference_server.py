"""Finds the reference servers, which are not ours, installing them with npm below `.cache`."""

import shutil
import subprocess
from pathlib import Path
from typing import Literal

VERSION = "2026.8.31"
CACHE = Path(__file__).parents[2] / ".cache"


def find_reference(name: Literal["filesystem", "memory"]) -> Path | str:
    """The entry file of `@modelcontextprotocol/server-NAME`, or why there is none."""
    package = f"@modelcontextprotocol/server-{name}"
    folder = CACHE / f"reference-{name}"
    entry = folder / "node_modules" / package / "dist" / "index.js"
    if entry.exists():
        return entry
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "npm and node are not installed"
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder)]
    try:
        done = subprocess.run(
            [*command, f"{package}@{VERSION}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    except subprocess.TimeoutExpired:
        return "npm did not install the reference server in 300 s"
    return entry if done.returncode == 0 else f"npm install failed: {done.stderr[-300:]}"
