"""Every source with every transport, authentication and feature, installed and used for real."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest
from fastmcp import Client
from fastmcp.server.auth.providers.jwt import RSAKeyPair
from joserfc.jwk import RSAKey
from typing_extensions import override

from tests.conformance.host_process import end, free_port, running_host
from tests.conformance.suite import REVISIONS, install
from tests.generated.conftest import COMBINATIONS, ROOT, Installed, Projects, run

NAMES = [one.name for one in COMBINATIONS]
OPEN = [one.name for one in COMBINATIONS if one.auth == "none"]
STDIO = [name for name in OPEN if "-stdio-" in name]


def each(names: list[str]) -> pytest.MarkDecorator:
    """Run a test for each project; those of one project run in one process."""
    marked = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]
    return pytest.mark.parametrize("name", marked)


GENERIC = (
    "server-initialize",
    "ping",
    "server-stateless",
    "tools-list",
    "resources-list",
    "prompts-list",
    "sep-2164-resource-not-found",
    "dns-rebinding-protection",
)
"""Scenarios of the conformance suite that ask for no tool of its own."""
NEEDS_A_TOOL = {"ServerRejectsUndeclaredCapability", "MissingCapabilityHttp400"}
"""Checks of these scenarios that call `test_missing_capability`, a tool of the suite's server."""
SECONDS = 300


@each(NAMES)
def test_project_passes_its_own_tests_types_and_lint(name: str, projects: Projects, base: Path):
    one = projects[name]
    folder = one.made.folder
    run(one.python, "-m", "pytest", "-p", "no:cacheprovider", folder=folder)
    run(one.python, "-m", "ruff", "format", "--check", "--no-cache", ".", folder=folder)
    run(one.python, "-m", "ruff", "check", "--no-cache", ".", folder=folder)
    run(base, "-m", "pyright", "--pythonpath", one.python, folder=folder)
    run(base, "-m", "pip", "--python", one.python, "check")


@each(OPEN)
def test_server_is_clean_in_test_server(name: str, projects: Projects):
    folder = projects[name].made.folder
    words = ["test-server", str(folder), "--format", "json", "--strict", "--examples", "2"]
    words += ["--timeout", "300", "--slow", "300"]
    report = json.loads(run(sys.executable, "-m", "host", *words, folder=ROOT))
    assert report["passed"] is True
    assert report["eras"] == {"handshake": "2025-11-25", "stateless": "2026-07-28"}


@contextmanager
def served(one: Installed) -> Generator[str]:
    """Start a project's server over HTTP and yield its address."""
    port = free_port()
    log = one.made.folder / "http.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [one.python, "-m", one.made.package, "--transport", "http", "--port", str(port)],
            start_new_session=True,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}/mcp"
    try:
        until = time.monotonic() + SECONDS
        while status(url) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, f"{url} does not answer: {log.read_text()}"
            time.sleep(0.05)
        yield url
    finally:
        end(process)


def status(url: str, token: str = "") -> int | None:
    """Return the HTTP status of an empty request, None if nothing listens."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, method="POST", headers=headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None


@each(STDIO)
def test_server_passes_the_generic_conformance_scenarios(
    name: str, projects: Projects, tmp_path: Path
):
    suite = install()
    with served(projects[name]) as url:
        for revision in REVISIONS:
            wanted = [one for one in GENERIC if one in suite.required(revision, "server")]
            for scenario in wanted:
                words = ["server", "--url", url, "--scenario", scenario]
                folder = tmp_path / revision / scenario
                done = suite.run(
                    [*words, "--spec-version", revision, "-o", str(folder)], timeout=SECONDS
                )
                checks = [json.loads(file.read_text()) for file in folder.rglob("checks.json")]
                failed = [
                    check["name"]
                    for some in checks
                    for check in some
                    if check["status"] == "FAILURE" and check["name"] not in NEEDS_A_TOOL
                ]
                assert checks, done.stdout + done.stderr
                assert failed == [], (revision, scenario)


def test_all_servers_answer_through_the_host(projects: Projects):
    chosen = {name: projects[name] for name in STDIO}
    entries = {
        name: {"command": str(one.python), "args": ["-m", one.made.package]}
        for name, one in chosen.items()
    }

    async def names(url: str) -> set[str]:
        async with Client(url) as client:
            await client.call_tool(f"{OPEN[0]}__add_note", {"text": "milk"})
            answer = await client.call_tool(f"{OPEN[0]}__list_notes", {})
            assert "milk" in str(answer.content)
            with anyio.fail_after(SECONDS):
                while True:  # a list does not wait for servers that are starting still
                    found = {tool.name.partition("__")[0] for tool in await client.list_tools()}
                    if found >= set(chosen):
                        return found
                    await anyio.sleep(0.2)

    with running_host({"servers": entries}, env={"HOME": os.environ.get("HOME", "/")}) as host:
        found = anyio.run(names, host.url)
    assert found >= set(chosen)


def test_server_with_a_bearer_token_lets_in_who_has_it(
    projects: Projects, monkeypatch: pytest.MonkeyPatch
):
    name = next(one.name for one in COMBINATIONS if one.auth == "bearer")
    one = projects[name]
    monkeypatch.setenv(f"{one.made.package.upper()}_AUTH_TOKEN", "right")

    async def tools(url: str, token: str) -> int:
        async with Client(url, auth=token) as client:
            return len(await client.list_tools())

    with served(one) as url:
        assert anyio.run(tools, url, "right") >= 3
        assert [status(url), status(url, "wrong")] == [401, 401]


def test_server_with_oauth_takes_tokens_that_the_authorization_server_signed_for_it(
    projects: Projects, monkeypatch: pytest.MonkeyPatch
):
    one = next(projects[c.name] for c in COMBINATIONS if c.auth == "oauth")
    keys, others = RSAKeyPair.generate(), RSAKeyPair.generate()
    key = RSAKey.import_key(keys.public_key).as_dict(private=False)
    issuer, public = "https://login.example.com/", "https://server.example.com/"

    def token(pair: RSAKeyPair, audience: str) -> str:
        return pair.create_token(issuer=issuer, audience=audience)

    async def tools(url: str) -> int:
        async with Client(url, auth=token(keys, public)) as client:
            return len(await client.list_tools())

    with serving_json({"keys": [{**key, "use": "sig", "alg": "RS256"}]}) as jwks:
        prefix = one.made.package.upper()
        monkeypatch.setenv(f"{prefix}_OAUTH_ISSUER", issuer)
        monkeypatch.setenv(f"{prefix}_OAUTH_JWKS_URL", jwks)
        monkeypatch.setenv(f"{prefix}_PUBLIC_URL", public)
        with served(one) as url:
            assert anyio.run(tools, url) >= 3
            refused = [token(others, public), token(keys, "https://other.example.com/"), ""]
            assert [status(url, one) for one in refused] == [401, 401, 401]


@contextmanager
def serving_json(value: object) -> Generator[str]:
    """Serve a JSON document on loopback and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/jwks"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
