"""The public keys of an issuer: fetched once, again when a token names an unknown one."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import anyio

from host.domain.errors import FetchError, InvalidTokenError
from host.identity.fetch import Fetcher, show_address
from host.identity.well_known import same_issuer, server_addresses

if TYPE_CHECKING:  # the package takes a while to load and is needed for the first token only
    from joserfc.jwk import ECKey, OKPKey, RSAKey

PublicKey: TypeAlias = "RSAKey | ECKey | OKPKey"
FRESH_SECONDS = 600.0
"""How long keys are used without asking again."""
KEEP_SECONDS = 3600.0
"""How long they are used when the issuer does not answer."""
RETRY_SECONDS = 30.0
"""Least time between two requests, so that invented key ids do not become requests."""
MAX_KEYS = 100


class KeyCache:
    """Finds the key that a token names.

    Args:
        fetcher: Where requests may go.
        issuer: Whose keys.
        url: Where they are; None means what the issuer's metadata says.
        clock: Seconds that only go up.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        issuer: str,
        url: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetcher = fetcher
        self._issuer = issuer
        self._url = url
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched = self._tried = float("-inf")
        self._lock = anyio.Lock()

    async def find(self, kid: str | None, *, algorithm: str) -> "PublicKey":
        """Return the key with this id; without an id, the only one there is.

        Raises:
            InvalidTokenError: There is none, or it is not for this algorithm.
            FetchError: The issuer's keys are needed and cannot be had.
        """
        key = self._pick(kid)
        if key is None or self._age > FRESH_SECONDS:
            async with self._lock:
                await self._refresh(kid)
            key = self._pick(kid)
        if key is None:
            raise InvalidTokenError("The token is signed with a key that its issuer does not list.")
        listed = key.get("alg")
        if listed not in (None, algorithm):
            raise InvalidTokenError(f"The token's key is for {listed}, not for {algorithm}.")
        return key

    @property
    def _age(self) -> float:
        return self._clock() - self._fetched

    def _pick(self, kid: str | None) -> "PublicKey | None":
        if self._age > KEEP_SECONDS:
            return None
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _refresh(self, kid: str | None) -> None:
        known = self._pick(kid) is not None
        if known and self._age <= FRESH_SECONDS:
            return  # another task has just fetched it
        if self._clock() - self._tried < RETRY_SECONDS:
            if not self._keys:
                raise FetchError("The issuer's keys could not be fetched a moment ago.")
            return
        self._tried = self._clock()
        try:
            self._keys = await self._fetch()
        except FetchError:
            if not known:
                raise
            return  # the keys at hand are good for `KEEP_SECONDS`
        self._fetched = self._clock()

    async def _fetch(self) -> dict[str, "PublicKey"]:
        self._url = self._url or await self._find_url()
        reply = await self._fetcher.get(self._url)
        listed = reply.json().get("keys") if reply.status == 200 else None
        if not isinstance(listed, list):
            raise FetchError(f"{show_address(self._url)} did not answer with a set of keys.")
        found: dict[str, PublicKey] = {}
        for number, entry in enumerate(cast("list[Any]", listed)[:MAX_KEYS]):
            key = _read_key(entry)
            if key is not None:
                found[str(entry.get("kid", f"#{number}"))] = key
        return found

    async def _find_url(self) -> str:
        for address in server_addresses(self._issuer):
            reply = await self._fetcher.get(address)
            if reply.status == 200:
                document = reply.json()
                url = document.get("jwks_uri")
                if isinstance(url, str) and same_issuer(str(document.get("issuer")), self._issuer):
                    return url
        raise FetchError(
            f"{show_address(self._issuer)} does not say where its keys are.",
            next_step="Set http.oauth.jwks_url.",
        )


def _read_key(entry: object) -> "PublicKey | None":
    """Return a signature key; None for one of another kind, which RFC 7517 says to skip."""
    if not isinstance(entry, Mapping):
        return None
    data = cast("Mapping[str, Any]", entry)
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import ECKey, OKPKey, RSAKey  # noqa: PLC0415

    kinds = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = kinds.get(str(data.get("kty")))
    if kind is None or data.get("use", "sig") != "sig" or "d" in data:
        return None
    try:
        return kind.import_key(dict(data))
    except (JoseError, ValueError, TypeError, KeyError):
        return None
