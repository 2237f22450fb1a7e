"""Runs the whole replay: `python -m bench.agentdojo [--show benign|hostile] [--suite NAME]`.

AgentDojo brings 290 MB of model clients, none of which is used here, so that it gets a virtual
environment of its own under `.cache`; what it exported is kept there for the next time.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from bench.agentdojo import replay

RELEASE = "agentdojo==0.1.35"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "agentdojo"


def traces() -> Path:
    """Return the exported calls, made the first time."""
    script = Path(__file__).with_name("export.py")
    made_by = hashlib.sha256(script.read_bytes()).hexdigest()[:8]
    file = CACHE / f"{RELEASE}-{made_by}.json"
    if not file.exists():
        python = install()
        print(f"carrying out the calls of {RELEASE}, which takes a minute", file=sys.stderr)
        done = subprocess.run([python, script], check=True, stdout=subprocess.PIPE)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(done.stdout)
        fresh.replace(file)
    return file


def install() -> Path:
    """Install AgentDojo apart from everything else and return its interpreter."""
    home = CACHE / "venv"
    folder, name = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    python = home / folder / name
    if not python.exists():
        print(f"installing {RELEASE} into {home}", file=sys.stderr)
        venv.create(home, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", RELEASE], check=True)
    return python


if __name__ == "__main__":
    sys.argv.insert(1, str(traces()))
    replay.main()
