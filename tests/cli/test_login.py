import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from host.gateway.oauth.build import build_authorizer
from host.secrets.tokens import TokenStore
from tests.fakes.authority import FakeAuthority, FakeUpstream
from tests.fakes.visitor import call

ROOT = Path(__file__).parents[2]
HOST = """
import sys, typer
from host.cli.login import register_login
from host.domain.errors import HostError
root, group = typer.Typer(), typer.Typer()
register_login(group)
root.add_typer(group, name="servers")
try:
    root()
except HostError as error:
    print(f"host: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
"""
BROWSER = """#!{python}
import sys, urllib.request
urllib.request.urlopen(sys.argv[1]).read()
"""
Run = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]
Act = Callable[[FakeAuthority, FakeUpstream, Run], Awaitable[None]]


def play(folder: Path, act: Act) -> None:
    browser = folder / "browser"
    browser.write_text(BROWSER.format(python=sys.executable))
    browser.chmod(0o700)
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "HOST_DATA_DIR": str(folder / "data"),
        "BROWSER": str(browser),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }

    def run(words: tuple[str, ...], answer: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", HOST, "servers", *words],
            env=variables,
            cwd=folder,
            input=answer,
            capture_output=True,
            text=True,
            check=False,
        )

    async def started(*words: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        return await anyio.to_thread.run_sync(run, words, answer)

    async def stage() -> None:
        authority = FakeAuthority()
        async with authority.serve(), FakeUpstream(authority).serve() as upstream:
            config = folder / "host.yaml"
            config.write_text(
                f"servers:\n  docs: {{url: '{upstream.url}'}}\n  prog: {{command: cat}}\n"
                f"  fixed: {{url: '{upstream.url}', auth: {{type: bearer, token: t0ken}}}}\n"
            )
            variables["HOST_CONFIG"] = str(config)
            await act(authority, upstream, started)

    anyio.run(stage)


@pytest.mark.skipif(os.name != "posix", reason="the browser is a script")
def test_login_in_a_browser_serves_the_daemon_until_logout(tmp_path: Path):
    async def act(authority: FakeAuthority, upstream: FakeUpstream, run: Run) -> None:
        outcome = await run("login", "docs")
        assert outcome.returncode == 0, outcome.stderr
        assert f"Logged in to docs at {authority.issuer}." in outcome.stdout
        assert not any(token in outcome.stdout for token in authority.access)
        store = TokenStore(tmp_path / "data" / "oauth")
        daemon = build_authorizer("docs", upstream.url, auth=None, store=store)
        assert await call(daemon, upstream.url) == 200
        assert "Logged out of docs." in (await run("logout", "docs")).stdout
        assert authority.access == {}
        assert dict(await daemon.headers(upstream.url)) == {}
        assert "not logged in" in (await run("logout", "docs")).stdout

    play(tmp_path, act)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dcos", "Did you mean docs?"),
        ("prog", "is a program of this machine"),
        ("fixed", "auth: {type: oauth}"),
    ],
)
def test_server_without_a_login_is_explained(tmp_path: Path, name: str, message: str):
    async def act(authority: FakeAuthority, upstream: FakeUpstream, run: Run) -> None:
        outcome = await run("login", name)
        assert outcome.returncode != 0
        assert message in outcome.stderr
        assert "Traceback" not in outcome.stderr

    play(tmp_path, act)


def test_pasted_answer_of_another_login_is_refused(tmp_path: Path):
    async def act(authority: FakeAuthority, upstream: FakeUpstream, run: Run) -> None:
        pasted = "http://127.0.0.1:1/callback?state=other&code=evil\n"
        outcome = await run("login", "docs", "--no-browser", answer=pasted)
        assert outcome.returncode == 1
        assert f"{authority.base}/authorize?" in outcome.stdout
        assert "does not belong to this login" in outcome.stderr
        assert authority.count("/token") == 0

    play(tmp_path, act)
