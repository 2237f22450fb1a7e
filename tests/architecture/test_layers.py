import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_package_imports_only_from_layers_below_its_own():
    linter = Path(sys.executable).with_name("lint-imports")
    outcome = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout
