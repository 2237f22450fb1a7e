"""`host logs` shows what the daemon wrote, in the foreground too."""

import json
import subprocess
import sys
from pathlib import Path

from host.config.runtime import LOG_BYTES, begin_log
from tests.conformance.host_process import host_environment


def test_the_log_of_a_daemon_in_a_terminal_is_shown_in_another(tmp_path: Path):
    for name in ("home", "data", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    file = tmp_path / "host.yaml"
    file.write_text(json.dumps({"servers": {}, "http": {"port": 0}}))
    file.chmod(0o600)
    env = host_environment(tmp_path, {"HOST_CONFIG": str(file)})
    words = [sys.executable, "-m", "host"]
    with subprocess.Popen(
        [*words, "serve"], env=env, cwd=env["HOME"], stderr=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stderr is not None
        try:
            said = next(line.strip() for line in daemon.stderr if "endpoint" in line)
            shown = subprocess.run(
                [*words, "logs"],
                env=env,
                cwd=env["HOME"],
                capture_output=True,
                text=True,
                check=True,
            )
        finally:
            daemon.terminate()
    assert said.startswith("endpoint http://127.0.0.1:")
    assert any(line.endswith(said) and line[:2] == "20" for line in shown.stdout.splitlines())


def test_a_long_log_is_put_aside_and_one_old_one_is_kept(tmp_path: Path):
    for text in (b"first", b"second"):
        begin_log(tmp_path).write_bytes(text + b"." * LOG_BYTES)
    assert begin_log(tmp_path) == tmp_path / "daemon.log"
    assert [file.name for file in tmp_path.iterdir()] == ["daemon.old.log"]
    assert (tmp_path / "daemon.old.log").read_bytes().startswith(b"second")
