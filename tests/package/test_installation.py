"""What `pip install .` gives: `make test-package` runs this, for it takes a minute."""

import json
import re
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from host import __version__
from tests.conformance.host_process import end, free_port
from tests.fakes.documents import ARTICLE
from tests.fakes.site import html_reply, serve_site
from tests.package.conftest import ROOT, Installation

READY = re.compile(rb"endpoint (http://\S+)")

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def nothing_left(installed: Installation) -> Generator[None]:
    yield
    installed.run("host", "stop", expect=None)


@pytest.mark.parametrize(
    "words", [("host",), ("agent-host",), ("python", "-m", "host")], ids=lambda w: w[0]
)
def test_every_way_to_call_it_tells_its_version(installed: Installation, words: tuple[str, ...]):
    assert installed.run(*words, "--version").stdout == f"mcp-agent-host {__version__}\n"


def test_it_comes_with_servers_generator_policies_configs_and_plugins(installed: Installation):
    code = """
import json, pathlib
import generator, host, servers
from host.config.shipped import bundled_servers
top = pathlib.Path(host.__file__).parent
found = {str(f.relative_to(top.parent)) for f in top.parent.rglob("*") if f.is_file()}
print(json.dumps([str(top), bundled_servers(), sorted(found)]))
"""
    place, bundled, found = json.loads(installed.run("python", "-P", "-c", code).stdout)
    assert str(ROOT) not in place
    assert {"files", "search", "weather"} <= set(bundled)
    missing: list[str] = []
    tracked = subprocess.run(
        ["git", "ls-files", "host", "servers", "generator", "configs", "policies", "plugins"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in tracked:
        shipped = name.split("/")[0] in ("configs", "policies", "plugins")
        if (f"host/shipped/{name}" if shipped else name) not in found:
            missing.append(name)
    assert missing == []


def test_the_doctor_finds_everything_well(installed: Installation):
    said = installed.run("host", "doctor").stdout
    assert "FAIL" not in said
    assert re.search(r"ok +server files", said)


def test_pip_finds_no_conflict_and_nothing_unpinned(installed: Installation):
    installed.run("python", "-m", "pip", "check")
    frozen = installed.run("python", "-m", "pip", "freeze").stdout.splitlines()
    pinned = {line.lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert [line for line in frozen if line.lower() not in pinned] == [
        line for line in frozen if line.startswith("mcp-agent-host ")
    ]


async def use_files(client: Client[Any], home: Path) -> None:
    """Write a file and read it back; a policy of the user's own lets both pass."""
    policies = home / ".config" / "mcp-agent-host" / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    (policies / "mine.yaml").write_text("default: allow\n")
    async with client:
        await client.call_tool("files__write", {"path": "note.txt", "content": "hello\n"})
        read = await client.call_tool("files__read_text", {"path": "note.txt"})
    assert "hello" in str(read.content)
    assert (home / "agent-files" / "note.txt").read_text() == "hello\n"


@pytest.fixture
def endpoint(installed: Installation) -> Generator[str]:
    """Return the address of an installed `host serve --port`."""
    process = subprocess.Popen(
        [installed.bin / "host", "serve", "--port", str(free_port()), "--no-auth"],
        cwd=installed.home,
        env=installed.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    with process.stderr:
        try:
            # The pipe ends, and with it the search, should the host not come up.
            yield next(
                found.group(1).decode() for found in map(READY.search, process.stderr) if found
            )
        finally:
            end(process)


@pytest.mark.anyio
async def test_a_real_client_uses_the_bundled_files_server_over_http(
    installed: Installation, endpoint: str
):
    await use_files(Client(endpoint), installed.home)


@pytest.mark.anyio
async def test_a_real_client_uses_the_bundled_files_server_over_stdio(installed: Installation):
    transport = StdioTransport(
        str(installed.bin / "host"),
        ["serve", "--stdio"],
        env=installed.environ,
        cwd=str(installed.home),
    )
    await use_files(Client(transport), installed.home)


async def read_page(installation: Installation) -> str:
    """Fetch an HTML page with the installed search server."""
    with serve_site() as site:
        site.put("/moon", html_reply(ARTICLE))
        search = StdioTransport(
            str(installation.bin / "python"),
            ["-P", "-m", "servers.search", "--allow-networks", '["127.0.0.1/32"]'],
            env=installation.environ,
            cwd=str(installation.home),
        )
        async with Client(search) as client:
            page = await client.call_tool("fetch", {"url": f"{site.url}/moon"})
    return str(page.content)


@pytest.mark.anyio
async def test_the_search_server_reads_web_pages(installed: Installation):
    assert "# Harvest moon" in await read_page(installed)


@pytest.mark.anyio
async def test_a_plain_pip_install_reads_web_pages_too(installed_bare: Installation):
    assert "# Harvest moon" in await read_page(installed_bare)
    installed_bare.run("python", "-m", "pip", "check")
    assert installed_bare.run("host", "--version").stdout == f"mcp-agent-host {__version__}\n"
