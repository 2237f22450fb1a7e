"""What starting a daemon loads, which each bridge that starts one waits for."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LATE = {"anthropic", "cel", "httpx", "httpx2", "openai", "prompt_toolkit", "pydantic_ai", "rich"}
"""Packages that load slowly, and that no daemon needs before somebody asks for what they do."""


def test_the_daemon_starts_without_what_loads_slowly():
    look = "import host.orchestrator.daemon, sys; print(*(one for one in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "host.app.host" in loaded
    assert loaded & LATE == set()
