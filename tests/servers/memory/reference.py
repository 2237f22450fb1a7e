"""Finds the reference memory server, installing it with npm below `.cache` if need be."""

import shutil
import subprocess
from pathlib import Path

PACKAGE = "@modelcontextprotocol/server-memory"
VERSION = "2026.8.31"
CACHE = Path(__file__).parents[3] / ".cache" / "reference-memory"


def find_reference() -> Path | str:
    """The reference server's entry file, or why there is none."""
    entry = CACHE / "node_modules" / PACKAGE / "dist" / "index.js"
    if entry.exists():
        return entry
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "npm and node are not installed"
    CACHE.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(CACHE)]
    try:
        done = subprocess.run(
            [*command, f"{PACKAGE}@{VERSION}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
    except subprocess.TimeoutExpired:
        return "npm did not install the reference server in 90 s"
    return entry if done.returncode == 0 else f"npm install failed: {done.stderr[-300:]}"
