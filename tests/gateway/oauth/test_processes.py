import os
import sys
from pathlib import Path

import anyio

from host.config.oauth import OAuthClientConfig
from host.gateway.oauth.oauth import OAuthAuthorizer
from host.secrets.tokens import TokenStore
from tests.fakes.authority import FakeAuthority, FakeUpstream
from tests.fakes.visitor import AgreeingVisitor

ROOT = Path(__file__).parents[3]
PROCESS = """
import sys, anyio
from pathlib import Path
from host.config.oauth import OAuthClientConfig
from host.gateway.oauth.oauth import OAuthAuthorizer
from host.secrets.tokens import TokenStore
folder, url = sys.argv[1:]
authorizer = OAuthAuthorizer(
    "docs", url, config=OAuthClientConfig(), store=TokenStore(Path(folder))
)
print(anyio.run(authorizer.headers, url)["Authorization"])
"""


def test_one_refresh_serves_many_processes(tmp_path: Path):
    printed: list[str] = []

    async def start(url: str) -> None:
        words = [sys.executable, "-c", PROCESS, str(tmp_path), url]
        outcome = await anyio.run_process(words, env={**os.environ, "PYTHONPATH": str(ROOT)})
        printed.append(outcome.stdout.decode())

    async def run() -> None:
        authority = FakeAuthority(lifetime=0)
        async with authority.serve(), FakeUpstream(authority).serve() as upstream:
            first = OAuthAuthorizer(
                "docs",
                upstream.url,
                config=OAuthClientConfig(),
                store=TokenStore(tmp_path),
                consent=AgreeingVisitor(),
            )
            await first.login()
            authority.lifetime = 3600
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(start, upstream.url)
            assert len(set(printed)) == 1
            assert len(printed) == 4
            # A refresh token works once, so a second use would have ended the login.
            assert len(authority.forms("refresh_token")) == 1

    anyio.run(run)
