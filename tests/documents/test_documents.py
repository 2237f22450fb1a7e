"""OpenAPI documents that others wrote: all generate, import, list and lint; calls are right.

The documents are the test data of OpenAPI libraries on PyPI (Apache-2.0, MIT, BSD-3-Clause); none
is part of this project.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from host.config.files import lock_file

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "documents-1"
SOURCES = ("openapi-spec-validator==0.9.0", "datamodel-code-generator==0.89.0", "prance==26.7.19")
WHEELS = ("jupyter-server==2.21.1",)
LARGE = (
    "tests/bench/specs/github.yaml",
    "tests/bench/specs/stripe.yaml",
    "tests/bench/specs/kubernetes.yaml",
    "tests/bench/specs/docker.yaml",
    "tests/specs/kubernetes_api_docs.json",
    "tests/data/performance/openapi_large.yaml",
    "tests/data/performance/aws_style.yaml",
)
PARTS = 4
"""In how many parts the other documents are tried, each in a process of its own."""
_DOCUMENT = re.compile(r'^\s{0,4}"?(openapi|swagger)"?\s*:', re.MULTILINE)
KNOWN = {
    ("client/discriminator-copies.yaml", "create_pet"): "`oneOf` becomes `anyOf`",
    ("client/paths.yaml", "get_static"): "a `.` in a path is taken out by every client",
    (
        "openapi/discriminator_read_write_variant_tags.yaml",
        "create_pet",
    ): "`oneOf` becomes `anyOf`",
    ("fastapi/media-errors.yaml", "post_form_shapes"): "a form that is a list",
    ("fastapi/native.yaml", "post_extended"): "`additionalProperties: false` in a schema of parts",
    ("fastapi/native.yaml", "post_node"): "a cycle is cut, and what is below it is free",
}
"""Calls that the mock refuses, and why: what the schemas of tools do not say."""


@pytest.fixture(scope="session")
def library() -> Path:
    """Download and unpack the packages once, whole or not at all, and return their folder."""
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with lock_file(CACHE):
        if not CACHE.exists():
            with tempfile.TemporaryDirectory(prefix="documents-", dir=CACHE.parent) as name:
                whole = Path(name) / "whole"
                _unpack_into(whole)
                whole.rename(CACHE)
    return CACHE


def _unpack_into(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--dest", str(folder)]
    for words in ([*pip, "--no-binary", ":all:", *SOURCES], [*pip, *WHEELS]):
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
    for file in folder.glob("*.tar.gz"):
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
    for file in folder.glob("*.whl"):
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder / file.stem)  # noqa: S202 - a pinned wheel of the registry


def try_all(files: list[Path], folder: Path) -> dict[str, Any]:
    """Make, lint, import, list and call a server of each document, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.documents.call_document", str(folder), *map(str, files)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    if any("tools" in report for report in found.values()):
        check_lint(folder)
    return found


def check_lint(folder: Path) -> None:
    """Check that all projects in a folder are formatted and linted, each by its own rules."""
    for words in (["format", "--check"], ["check", "--output-format=concise"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", str(folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def unexpected(found: dict[str, Any]) -> list[str]:
    """Return what went wrong, but for what is known and has its reason."""
    problems: list[str] = []
    for file, report in found.items():
        problems += [f"{file}: {report['crashed']}"] if "crashed" in report else []
        problems += [
            f"{file}: {said}"
            for said in report.get("wrong", [])
            if not any(file.endswith(end) and said.startswith(f"{tool} ") for end, tool in KNOWN)
        ]
    return problems


@pytest.mark.parametrize("name", LARGE)
def test_large_document_becomes_a_server_whose_calls_are_those_of_the_document(
    name: str, library: Path, tmp_path: Path
):
    (file,) = library.glob(f"*/{name}")
    found = try_all([file], tmp_path)
    (report,) = found.values()
    assert unexpected(found) == []
    assert report["listed"] == report["tools"] > 50
    assert report["called"] > 50


def odd_documents(library: Path) -> list[Path]:
    """Return the documents that are not large, in their order."""
    files = [
        file
        for folder in ("openapi_spec_validator*/tests", "prance*/tests", "datamodel*/tests/data")
        for top in library.glob(folder)
        for file in sorted(top.rglob("*"))
        if file.suffix in (".yaml", ".yml", ".json")
        and "expected" not in file.parts
        and not str(file).endswith(LARGE)
        and _DOCUMENT.search(file.read_text("utf-8", "replace")[:20_000])
    ]
    return [*files, *library.glob("jupyter_server*/jupyter_server/services/api/api.yaml")]


@pytest.mark.parametrize("part", range(PARTS))
def test_odd_documents_become_servers_or_are_refused_with_a_reason(
    part: int, library: Path, tmp_path: Path
):
    files = odd_documents(library)
    assert len(files) > 1_000
    found = try_all(files[part::PARTS], tmp_path)
    assert unexpected(found) == []
    made = [report for report in found.values() if "tools" in report]
    assert len(made) > 500 / PARTS * 0.8
    assert all(report["listed"] == report["tools"] for report in made)
    assert all(report["refused"] for report in found.values() if "refused" in report)
