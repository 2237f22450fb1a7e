from pathlib import Path

import pytest

from host.cli.doctor import check_keys


def test_keys_that_others_can_read_are_told_with_the_command_that_closes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOST_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    seal = tmp_path / "seal.json"
    seal.write_text("{}")
    seal.chmod(0o644)
    found = check_keys()
    assert (found.verdict, found.advice) == ("warning", f"Run `chmod 600 {seal}`.")
    seal.chmod(0o600)
    assert check_keys().verdict == "ok"
