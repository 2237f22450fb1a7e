"""An upstream behind a fake authority, and calls that have to log in first."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from host.config.oauth import OAuthClientConfig
from host.domain.errors import UpstreamAuthError
from host.gateway.oauth.oauth import OAuthAuthorizer
from host.secrets.tokens import TokenStore
from tests.fakes.authority import FakeAuthority, FakeUpstream
from tests.fakes.visitor import AgreeingVisitor, call

HUSH = "s3cret:%"


class Scene:
    """An upstream, its authority, and an authorizer with an agreeing person."""

    def __init__(self, authority: FakeAuthority, upstream: FakeUpstream, folder: Path) -> None:
        self.authority = authority
        self.upstream = upstream
        self.folder = folder
        self.visitor = AgreeingVisitor()

    def authorizer(self, *, attended: bool = True, **settings: Any) -> OAuthAuthorizer:
        return OAuthAuthorizer(
            "docs",
            self.upstream.url,
            config=OAuthClientConfig(**settings),
            store=TokenStore(self.folder),
            consent=self.visitor if attended else None,
        )

    async def call(self, authorizer: OAuthAuthorizer) -> int:
        return await call(authorizer, self.upstream.url)

    @property
    def page(self) -> dict[str, str]:
        query = parse_qs(urlsplit(self.visitor.shown[-1]).query)
        return {name: values[0] for name, values in query.items()}


def play(
    folder: Path,
    act: Callable[[Scene], Awaitable[None]],
    authority: FakeAuthority | None = None,
    **switches: Any,
) -> None:
    async def run() -> None:
        issuer = authority or FakeAuthority()
        async with issuer.serve(), FakeUpstream(issuer, **switches).serve() as upstream:
            await act(Scene(issuer, upstream, folder))

    anyio.run(run)


def refused(folder: Path, message: str, authority: FakeAuthority, **switches: Any) -> None:
    async def act(scene: Scene) -> None:
        with pytest.raises(UpstreamAuthError, match=message):
            await scene.call(scene.authorizer())
        assert scene.authority.count("/token") == 0

    play(folder, act, authority, **switches)
