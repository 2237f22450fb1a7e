import tomllib
from pathlib import Path

from host import __version__

ROOT = Path(__file__).parents[2]


def test_the_distribution_and_the_host_bear_the_same_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
