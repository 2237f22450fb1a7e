"""Runs the database server's tests against all three databases: `make test-database`.

MariaDB is installed with apt where it is missing and this user may; its absence is then a failure,
where the ordinary test run passes it over.
"""

import os
import shutil
import subprocess
import sys

from tests.servers.database.conftest import REQUIRED


def main() -> int:
    """Install what is missing, and return the status of the tests."""
    if shutil.which("mariadbd") is None and shutil.which("apt-get") is not None:
        for words in (
            ["update"],
            ["install", "--yes", "--no-install-recommends", "mariadb-server"],
        ):
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", *words], check=True, env=quiet, stdout=subprocess.DEVNULL)
    tests = ["tests/servers/database", "tests/generator/test_database.py"]
    command = [sys.executable, "-m", "pytest", *tests]
    return subprocess.run(command, check=False, env={**os.environ, REQUIRED: "1"}).returncode


if __name__ == "__main__":
    sys.exit(main())
