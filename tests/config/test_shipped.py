import json
from pathlib import Path

import jsonschema
import pytest

from host.config.load import check_content
from host.config.schema import render_schema
from host.config.settings import Settings
from host.config.shipped import shipped_folder
from host.config.yaml import load_yaml

ROOT = Path(__file__).parents[2]


def test_the_committed_schema_is_current():
    said = "run `python -m host config schema > configs/host.schema.json`"
    assert (ROOT / "configs/host.schema.json").read_text() == render_schema(), said


def test_the_example_is_good_and_means_what_the_defaults_mean():
    file = shipped_folder("configs") / "host.yaml"
    settings = check_content(file.read_bytes(), file, variables={}, environ={"HOME": "/h"})
    assert settings.model_copy(update={"servers": {}}) == Settings()
    assert list(settings.servers) == ["files", "search", "memory", "weather"]
    assert file.read_text().startswith("# yaml-language-server: $schema=./host.schema.json\n")


def test_every_line_of_the_example_that_is_commented_out_is_good_too():
    file = shipped_folder("configs") / "host.yaml"
    lines = file.read_text().splitlines()
    start = lines.index("  # github:") if "  # github:" in lines else 0
    taken = [line.replace("  # ", "  ", 1) for line in lines[start:] if line.startswith("  # ")]
    text = "servers:\n" + "\n".join(line for line in taken if not line.strip()[0].isupper())
    environ = {"HOME": "/h", "GITHUB_TOKEN": "x", "DOCS_TOKEN": "y"}
    settings = check_content(text.encode(), file, variables={}, environ=environ)
    assert list(settings.servers) == ["github", "docs", "example"]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("http: {port: 1}", True),
        ("http: {port: '${PORT:-1}'}", True),
        ("http: {port: one}", False),
        ("servers: {a: {command: x, type: stdio}}", True),
        ("servers: {a__b: {command: x}}", False),
        ("mcpServers: {a: {command: x, disabled: true}}", True),
        ("nonsense: 1", False),
    ],
)
def test_the_schema_accepts_what_the_host_accepts(tmp_path: Path, text: str, good: bool):
    file = tmp_path / "host.yaml"
    file.write_text(text)
    value = load_yaml(file).value
    validator = jsonschema.Draft202012Validator(json.loads(render_schema()))
    assert validator.is_valid(value) is good  # pyright: ignore[reportUnknownMemberType]
