"""A user's folders with agents on scripted models, for commands as a person runs them."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.fakes.command import run_host
from tests.fakes.terminal import Terminal

ROOT = Path(__file__).parents[2]


class Home:
    """A user's folders, with a daemon of their own that starts when it is needed."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        config = folder / "xdg" / "mcp-agent-host"
        (config / "agents").mkdir(parents=True)
        (config / "models" / "scripts").mkdir(parents=True)
        work = folder / "work"
        work.mkdir()
        (work / "notes.txt").write_text("milk")
        settings = {"roots": [str(work)]}
        servers = {"files": {"bundled": "files", "settings": settings}}
        rewriting = {"model": "scripted:small"}
        (config / "host.yaml").write_text(
            json.dumps({"servers": servers, "reformulate": rewriting})
        )
        closed = {"ollama": {"base_url": "http://127.0.0.1:9/v1"}}
        (config / "models.yaml").write_text(yaml.safe_dump({"providers": closed}))
        self._config = config
        self.environ = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith("HOST_") and not name.endswith("_API_KEY")
            },
            "PYTHONPATH": str(ROOT),
            "XDG_CONFIG_HOME": str(folder / "xdg"),
            "HOST_DATA_DIR": str(store),
            "HOST_RUNTIME_DIR": str(folder / "run"),
        }

    def agent(self, name: str, turns: Sequence[object], **config: object) -> None:
        """Write an agent and its script."""
        script = {"turns": list(turns), "loop": True}
        (self._config / "models" / "scripts" / f"{name}.yaml").write_text(yaml.safe_dump(script))
        body = {"model": f"scripted:{name}", **config}
        (self._config / "agents" / f"{name}.yaml").write_text(yaml.safe_dump(body))

    def host(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return run_host(*words, folder=self.folder / "work", environ=self.environ, stdin=stdin)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command at which nobody sits; its output is to be read."""
        return subprocess.Popen(
            [sys.executable, "-m", "host", *words],
            env=self.environ,
            cwd=self.folder / "work",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines that the daemon has logged."""
        file = Path(self.environ["HOST_DATA_DIR"]) / "logs" / "daemon.log"
        found = file.read_text("utf-8", "replace").splitlines() if file.exists() else []
        return "\n".join(found[-lines:])

    def terminal(self, *words: str) -> Terminal:
        """Start a command in a terminal."""
        return Terminal(["-m", "host", *words], self.environ, self.folder / "work")
