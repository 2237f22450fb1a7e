"""Looking opaque tokens up at their issuer (RFC 7662), with a short memory."""

import base64
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from host.config.oauth import HttpOAuthConfig
from host.domain.errors import FetchError, InvalidTokenError
from host.identity.fetch import Fetcher, show_address

MAX_REMEMBERED = 1000
"""Tokens that are remembered; the oldest goes first."""


class Introspector:
    """Asks the introspection endpoint what a token is good for.

    Args:
        config: Endpoint and the host's credentials there.
        fetcher: Where requests may go.
        clock: Seconds that only go up.
    """

    def __init__(
        self,
        config: HttpOAuthConfig,
        *,
        fetcher: Fetcher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._fetcher = fetcher
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, dict[str, Any]]] = OrderedDict()

    async def claims(self, token: str) -> dict[str, Any]:
        """Return what the issuer says of a token.

        Raises:
            InvalidTokenError: It is not active.
            FetchError: The endpoint did not answer properly: neither yes nor no.
        """
        digest = hashlib.sha256(token.encode()).digest()  # the token itself is not kept
        until, found = self._known.get(digest, (float("-inf"), {}))
        if until <= self._clock():
            found = await self._ask(token)
            self._remember(digest, found)
        if found.get("active") is not True:
            raise InvalidTokenError("The token is not active.")
        return found

    def _remember(self, digest: bytes, found: dict[str, Any]) -> None:
        self._known[digest] = (self._clock() + self._config.introspection_cache, found)
        self._known.move_to_end(digest)
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    async def _ask(self, token: str) -> dict[str, Any]:
        url = self._config.introspection_url or ""
        secret = self._config.introspection_client_secret
        name = quote(self._config.introspection_client_id or "", safe="")
        password = quote(secret.get_secret_value() if secret else "", safe="")
        proof = base64.b64encode(f"{name}:{password}".encode()).decode()
        form = {"token": token, "token_type_hint": "access_token"}
        reply = await self._fetcher.post_form(
            url, form, headers={"Authorization": f"Basic {proof}"}
        )
        if reply.status != 200:
            raise FetchError(
                f"{show_address(url)} answered with status {reply.status}.",
                next_step="Check http.oauth.introspection_client_id and _secret.",
            )
        return reply.json()
