"""A wheel holds what the host ships, and finds it where it is installed."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_a_wheel_brings_what_is_shipped_and_finds_it(tmp_path: Path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, ROOT], check=True)
    wheel = next(tmp_path.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "host/shipped/configs/host.yaml" in names
    assert not [name for name in names if name.startswith(("configs/", "tests/", "policies/"))]
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel], check=True)
    code = (
        "from host.config.shipped import shipped_folder; import host; print(host.__file__)\n"
        "print(shipped_folder('configs'))"
    )
    outcome = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    site = tmp_path / "site" / "host"
    assert outcome.stdout.split() == [str(site / "__init__.py"), str(site / "shipped" / "configs")]
