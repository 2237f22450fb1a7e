"""Every source with every transport, authentication and feature, installed and used for real."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client

from tests.conformance.host_process import running_host
from tests.conformance.suite import REVISIONS, install
from tests.generated.conftest import COMBINATIONS, ROOT, Installed, Projects, run
from tests.generated.running import SECONDS, Credentials, Running, served, status, with_token

NAMES = [one.name for one in COMBINATIONS]


def each(names: list[str]) -> pytest.MarkDecorator:
    """Run a test for each project; those of one project run in one process."""
    marked = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]
    return pytest.mark.parametrize("name", marked)


GENERIC = {
    "2025-11-25": (
        "server-initialize",
        "logging-set-level",
        "ping",
        "tools-list",
        "server-sse-multiple-streams",
        "resources-list",
        "prompts-list",
        "dns-rebinding-protection",
    ),
    "2026-07-28": (
        "server-stateless",
        "tools-list",
        "server-sse-multiple-streams",
        "resources-list",
        "sep-2164-resource-not-found",
        "prompts-list",
        "dns-rebinding-protection",
        "caching",
        "input-required-result-unsupported-methods",
    ),
}
"""Scenarios of the conformance suite that ask for no tool of its own."""
NEEDS_A_TOOL = {"ServerRejectsUndeclaredCapability", "MissingCapabilityHttp400"}
"""Checks of these scenarios that call `test_missing_capability`, a tool of the suite's server."""

CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "blank": ("add_note", {"text": "milk"}, "number"),
    "openapi": ("list_pets", {}, "good"),
    "python": ("greet", {"name": "Ann"}, "good day, Ann"),
    "cli": ("status", {}, "output"),
    "database": ("find_items", {}, "rows"),
    "curl": ("post_v1_items", {"name": "x", "n": 1, "tags": []}, "good"),
}
"""A tool of each source, arguments, and what its answer has in it."""


@each(NAMES)
def test_project_passes_its_own_tests_types_and_lint(name: str, projects: Projects):
    one = projects[name]
    words = [
        ("pytest", "-p", "no:cacheprovider"),
        ("ruff", "format", "--check", "--no-cache", "."),
        ("ruff", "check", "--no-cache", "."),
        ("pyright", "--pythonpath", one.python),
        (f"{one.made.package}.pages", "--check"),
    ]
    for module in words:
        run(one.python, "-m", *module, folder=one.made.folder)


@each(NAMES)
def test_server_passes_the_generic_conformance_scenarios(
    name: str, projects: Projects, running: Running, tmp_path: Path
):
    suite = install()
    with with_token(running[name], projects[name].token) as url:
        for revision in REVISIONS:
            folder = tmp_path / revision
            words = ["server", "--url", url, "--requirements", revision, "-o", str(folder)]
            suite.run(words, timeout=SECONDS)
            assert set(GENERIC[revision]) <= set(suite.required(revision, "server"))
            found = {one: judged(folder, one) for one in GENERIC[revision]}
            assert found == dict.fromkeys(GENERIC[revision], "passed"), revision


def judged(folder: Path, scenario: str) -> str:
    """Return `passed`, or what the suite found wrong in a scenario."""
    files = list(folder.glob(f"server-{scenario}-2*/checks.json"))
    checks = [check for file in files for check in json.loads(file.read_text())]
    relevant = [check for check in checks if check["name"] not in NEEDS_A_TOOL]
    failed = [
        f"{check['name']}: {check.get('errorMessage', '')}"
        for check in relevant
        if check["status"] == "FAILURE"
    ]
    good = any(check["status"] == "SUCCESS" for check in relevant)
    return "; ".join(failed) or ("passed" if good else "it did not run")


@each(NAMES)
def test_server_is_clean_in_test_server(name: str, projects: Projects, running: Running):
    one = projects[name]
    target = [str(one.made.folder)]
    if one.combination.transport == "http":
        target = [running[name]]
    if one.token:
        target += ["--header", "Authorization: Bearer ${TOKEN_FOR_CLIENTS}"]
    words = ["test-server", *target, "--format", "json", "--strict", "--examples", "2"]
    words += ["--timeout", "300", "--slow", "300"]
    report = json.loads(run(sys.executable, "-m", "host", *words, folder=ROOT, env=one.environ))
    assert report["passed"] is True
    assert report["eras"] == {"handshake": "2025-11-25", "stateless": "2026-07-28"}


def entry(one: Installed, url: str) -> dict[str, Any]:
    """Return what host.yaml says of a project."""
    if one.combination.transport == "stdio":
        words = ["-m", one.made.package]
        return {"command": str(one.python), "args": words, "env": one.environ, "cwd": str(ROOT)}
    proof = {"type": "bearer", "token": one.token}
    return {"url": url, **({"auth": proof} if one.token else {})}


@pytest.mark.xdist_group("host")
def test_all_servers_answer_through_the_host(projects: Projects):
    installed = [projects[name] for name in NAMES]
    over_http = [one for one in installed if one.combination.transport == "http"]
    with served(over_http) as urls:
        entries = {one.name: entry(one, urls.get(one.name, "")) for one in installed}
        with running_host({"servers": entries}) as host:
            answers = anyio.run(call_each, host.url, installed)
    expected = {one.name: CALLS[one.combination.kind][2] for one in installed}
    wrong = {name: answers[name] for name, text in expected.items() if text not in answers[name]}
    assert wrong == {}


async def call_each(url: str, installed: list[Installed]) -> dict[str, str]:
    """Wait until a host lists every server, then call a tool of each."""
    wanted = {one.name for one in installed}
    answers: dict[str, str] = {}
    async with Client(url) as client:
        with anyio.fail_after(SECONDS):
            while True:  # a list does not wait for servers that are starting still
                tools = await client.list_tools()
                missing = wanted - {tool.name.partition("__")[0] for tool in tools}
                if not missing:
                    break
                await anyio.sleep(0.2)
        for one in installed:
            tool, arguments, _ = CALLS[one.combination.kind]
            answer = await client.call_tool(f"{one.name}__{tool}", arguments, raise_on_error=False)
            said = " ".join(getattr(block, "text", "") for block in answer.content)
            answers[one.name] = f"refused: {said}" if answer.is_error else said
    return answers


def test_server_with_a_bearer_token_lets_in_who_has_it(projects: Projects, running: Running):
    one = next(projects[c.name] for c in COMBINATIONS if c.auth == "bearer")
    url = running[one.name]
    assert tools(url, one.token) >= 3
    assert [status(url), status(url, "wrong")] == [401, 401]


def test_server_with_oauth_takes_tokens_that_the_authorization_server_signed_for_it(
    projects: Projects, running: Running, credentials: Credentials
):
    one = next(projects[c.name] for c in COMBINATIONS if c.auth == "oauth")
    url = running[one.name]
    assert tools(url, one.token) >= 3
    others = replace(Credentials.generate(), jwks_url=credentials.jwks_url)
    elsewhere = credentials.token("oauth", audience="https://other.example.com/")
    assert [status(url, token) for token in (others.token("oauth"), elsewhere, "")] == [401] * 3


def tools(url: str, token: str) -> int:
    """Return how many tools a server lists to a client with a token."""

    async def count() -> int:
        async with Client(url, auth=token) as client:
            return len(await client.list_tools())

    return anyio.run(count)
