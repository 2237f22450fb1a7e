"""OAuth 2.1 for one upstream: tokens kept fresh, refusals answered, logins asked for."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Generator, Mapping

import anyio
from pydantic import SecretStr
from typing_extensions import override

from host.config.oauth import OAuthClientConfig
from host.domain.errors import FetchError, LoginRequiredError, UpstreamAuthError
from host.gateway.oauth.authorizer import Authorizer, Challenge, HeaderAuthorizer
from host.gateway.oauth.challenge import BearerChallenge, parse_challenge
from host.gateway.oauth.client import configured_client
from host.gateway.oauth.consent import Consent
from host.gateway.oauth.login import Login, make_record, make_signer, token_endpoint
from host.gateway.oauth.metadata import Discovery, discover, origin
from host.gateway.oauth.token import TokenEndpoint, TokenRefusedError, TokenReply
from host.identity.address import Reach
from host.identity.fetch import Fetcher, show_address
from host.secrets.tokens import TokenRecord, TokenStore

EARLY_SECONDS = 10.0
"""How long before its expiry a token is renewed."""
MAX_ATTEMPTS = 3
"""Refusals of one request that are answered; the next one stands."""
_PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
_PING_HEADERS = {"Accept": "application/json, text/event-stream"}


class OAuthAuthorizer(Authorizer):
    """Holds the tokens of one upstream, shared with the other processes of the user.

    Args:
        upstream: Name of the server in host.yaml.
        url: Its address.
        config: What host.yaml says about the login.
        store: Where tokens are kept.
        consent: Shows login pages; None raises `LoginRequiredError` where one is needed.
        headers: Further fixed headers.
        implied: The configuration says nothing about OAuth; only a `Bearer` challenge counts.
        clock: Unix time.
    """

    def __init__(  # noqa: PLR0913 - the parts of one upstream, all keyword-only but two
        self,
        upstream: str,
        url: str,
        *,
        config: OAuthClientConfig,
        store: TokenStore,
        consent: Consent | None = None,
        headers: Mapping[str, SecretStr | str] | None = None,
        implied: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.upstream = upstream
        self.url = url
        self._origin = origin(url)
        self._implied = implied
        self._config = config
        self._store = store
        self._consent = consent
        self._fixed = HeaderAuthorizer(headers or {})
        self._clock = clock
        self._key = store.key(upstream, url)
        self._lock = anyio.Lock()
        self._record: TokenRecord | None = None
        self._mark = -1
        self._obtained: SecretStr | None = None
        self._asked: set[frozenset[str]] = set()

    @override
    def __repr__(self) -> str:
        return f"OAuthAuthorizer({self.upstream!r}, {show_address(self.url)!r})"

    @property
    def place(self) -> str:
        """Where the tokens are kept, in words."""
        return self._store.place(self._key)

    @override
    async def headers(self, url: str) -> Mapping[str, str]:
        """Return the fixed headers and, where there is one, a token that has not expired."""
        if url != self.url and origin(url) != self._origin:
            return {}  # a redirect: nothing that was meant for the upstream follows it
        record = await self._current()
        if record and self._is_stale(record):
            async with self._lock:
                with self._named():
                    record = await self._renew(record)
        fixed = await self._fixed.headers(url)
        if record is None or record.access_token is None:
            return fixed
        return {**fixed, "Authorization": f"Bearer {record.access_token.get_secret_value()}"}

    @override
    async def challenged(self, challenge: Challenge) -> bool:
        """Answer a refusal: a newer token, a refresh, a login, or more rights."""
        bearer = parse_challenge(challenge.header("www-authenticate"))
        step_up = challenge.status == 403 and bearer.error == "insufficient_scope"
        if origin(challenge.url) != self._origin or challenge.attempt > MAX_ATTEMPTS:
            return False
        if self._implied and "bearer" not in (challenge.header("www-authenticate") or "").lower():
            return False
        if challenge.status != 401 and not step_up:
            return False
        async with self._lock:
            record = await self._current()
            if _was_replaced(record, challenge):
                return True
            with self._named():
                if step_up and record is not None:
                    return await self._step_up(record, bearer)
                return await self._answer(record, bearer, fresh=challenge.attempt > 1)

    async def login(self, consent: Consent | None = None) -> TokenRecord:
        """Ask the upstream what it needs and log a person in, or the host itself.

        Args:
            consent: Shows the login page, such as by a client's URL elicitation; None takes the
                authorizer's own.

        Raises:
            UpstreamAuthError: It did not work; the message says why.
        """
        with self._named():
            fetcher = await self._fetcher()
            sent = {**await self._fixed.headers(self.url), **_PING_HEADERS}
            reply = await fetcher.probe(self.url, _PING, headers=sent)
            bearer = parse_challenge(reply.headers.get("www-authenticate"))
            async with self._lock:
                record = await self._current()
                found = await self._discover(fetcher, bearer, record)
                return await self._obtain(
                    fetcher, found, record=record, bearer=bearer, consent=consent
                )

    async def logout(self) -> bool:
        """Revoke and forget the tokens; return whether there were any."""
        async with self._lock, self._store.locked(self._key):
            record = await self._store.load(self._key)
            if record is None:
                return False
            await self._store.delete(self._key)
            with contextlib.suppress(FetchError):  # forgotten here, whatever the server says
                await self._revoke(record)
            return True

    async def _revoke(self, record: TokenRecord) -> None:
        if record.revocation_endpoint is None:
            return
        endpoint = self._endpoint(record, await self._fetcher())
        for token in (record.refresh_token, record.access_token):
            if token is not None:
                form = {"token": token.get_secret_value()}
                await endpoint.send(record.revocation_endpoint, form)

    @contextlib.contextmanager
    def _named(self) -> Generator[None]:
        try:
            yield
        except FetchError as error:
            raise UpstreamAuthError(
                f"The login to {self.upstream!r} failed: {error.message}",
                upstream=self.upstream,
                next_step=error.next_step,
            ) from error

    async def _fetcher(self) -> Fetcher:
        fetcher = Fetcher(await Reach.of(self.url))
        fetcher.check(self.url)  # a token on an unencrypted line is everybody's
        return fetcher

    async def _current(self) -> TokenRecord | None:
        mark = self._store.mark(self._key)
        if mark != self._mark:
            self._record = await self._store.load(self._key)
            self._mark = mark
        return self._record

    async def _save(self, record: TokenRecord) -> TokenRecord:
        await self._store.save(self._key, record)
        self._record, self._mark = record, self._store.mark(self._key)
        return record

    def _is_stale(self, record: TokenRecord) -> bool:
        return record.access_token is not None and (
            record.expires_at is not None and record.expires_at - EARLY_SECONDS < self._clock()
        )

    def _endpoint(self, record: TokenRecord, fetcher: Fetcher) -> TokenEndpoint:
        signer = make_signer(self._config)
        return TokenEndpoint(
            fetcher, record.token_endpoint, record.issuer, record.client, signer=signer
        )

    async def _renew(self, old: TokenRecord) -> TokenRecord | None:
        """Replace a token that is stale or was refused; one task and one process at a time."""
        async with self._store.locked(self._key):
            record = await self._store.load(self._key)
            if record is None:
                return None
            if record.access_token != old.access_token and not self._is_stale(record):
                self._record, self._mark = record, self._store.mark(self._key)
                return record
            form = self._renewal_form(record)
            if form is None:
                return await self._save(record.model_copy(update={"access_token": None}))
            try:
                reply = await self._endpoint(record, await self._fetcher()).ask(form)
            except TokenRefusedError:
                gone = {"access_token": None, "refresh_token": None, "expires_at": None}
                return await self._save(record.model_copy(update=gone))
            return await self._save(_renewed(record, reply))

    def _renewal_form(self, record: TokenRecord) -> dict[str, str] | None:
        if self._config.grant == "client_credentials":
            return _credentials_form(record.resource, record.scopes)
        if record.refresh_token is None:
            return None
        return {
            "grant_type": "refresh_token",
            "refresh_token": record.refresh_token.get_secret_value(),
            "resource": record.resource,
        }

    async def _answer(
        self, record: TokenRecord | None, bearer: BearerChallenge, *, fresh: bool
    ) -> bool:
        """Answer a 401; `fresh` says that the refused token was made for this very request."""
        if fresh and record is not None and record.access_token == self._obtained:
            return False  # another one of the same kind would be refused as well
        attended = self._consent is not None or self._config.grant == "client_credentials"
        if record is None and not attended:
            raise LoginRequiredError(self.upstream)
        fetcher = await self._fetcher()
        found = await self._discover(fetcher, bearer, record)
        if record and record.issuer == found.server.issuer and not fresh and record.access_token:
            renewed = await self._renew(record)
            if renewed and renewed.access_token:
                return True
            record = renewed
        await self._obtain(fetcher, found, record=record, bearer=bearer)
        return True

    async def _step_up(self, record: TokenRecord, bearer: BearerChallenge) -> bool:
        needed = frozenset(bearer.scopes)
        if needed <= set(record.scopes) or needed in self._asked:
            return False  # it was granted and does not help, or was asked for and not granted
        wanted = _union(record.wanted, bearer.scopes)
        record = await self._save(record.model_copy(update={"wanted": wanted}))
        if self._consent is None and self._config.grant == "authorization_code":
            raise LoginRequiredError(
                self.upstream, f"needs your consent to more rights ({' '.join(bearer.scopes)})"
            )
        self._asked.add(needed)
        fetcher = await self._fetcher()
        found = await self._discover(fetcher, bearer, record)
        await self._obtain(fetcher, found, record=record, bearer=bearer)
        return True

    async def _discover(
        self, fetcher: Fetcher, bearer: BearerChallenge, record: TokenRecord | None
    ) -> Discovery:
        if bearer.resource_metadata is None and record is not None:
            bearer = dataclasses.replace(bearer, resource_metadata=record.resource_metadata)
        return await discover(fetcher, self.url, challenge=bearer, issuer=self._config.issuer)

    async def _obtain(
        self,
        fetcher: Fetcher,
        found: Discovery,
        *,
        record: TokenRecord | None,
        bearer: BearerChallenge,
        consent: Consent | None = None,
    ) -> TokenRecord:
        """Get a first token, or one with more rights, and keep it."""
        known = record if record and record.issuer == found.server.issuer else None
        if record and not known:
            self._check_moved(record.issuer, found.server.issuer)
        scopes = self._scopes(found, known, bearer=bearer)
        if self._config.grant == "client_credentials":
            client = configured_client(self._config, found.server)
            endpoint = token_endpoint(self._config, fetcher, server=found.server, client=client)
            reply = await endpoint.ask(_credentials_form(found.resource, scopes))
            return await self._keep(make_record(found, client, reply, asked=scopes))
        shown = consent or self._consent
        if shown is None:
            raise LoginRequiredError(self.upstream)
        client = known.client if known else None
        login = Login(self._config, fetcher, found, shown, scopes, client)
        return await self._keep(await login.run())

    async def _keep(self, record: TokenRecord) -> TokenRecord:
        self._obtained = record.access_token
        async with self._store.locked(self._key):
            return await self._save(record)

    def _check_moved(self, before: str, now: str) -> None:
        # A configured client and its secret belong to one issuer; an upstream that names another
        # one could otherwise have them sent there.
        if self._config.client_id and self._config.issuer is None:
            raise FetchError(
                f"its authorization server changed from {show_address(before)} to "
                f"{show_address(now)}.",
                next_step="If that is right, put `issuer` under `auth`, or log out and in again.",
            )

    def _scopes(
        self, found: Discovery, record: TokenRecord | None, *, bearer: BearerChallenge
    ) -> tuple[str, ...]:
        granted = _union(record.scopes, record.wanted) if record else ()
        asked = _union(self._config.scopes, bearer.scopes) or found.scopes
        scopes = _union(granted, asked)
        interactive = self._config.grant == "authorization_code"
        if scopes and interactive and "offline_access" in found.server.scopes_supported:
            return _union(scopes, ("offline_access",))
        return scopes


def _was_replaced(record: TokenRecord | None, challenge: Challenge) -> bool:
    if record is None or record.access_token is None:
        return False
    sent = next((v for k, v in challenge.sent.items() if k.lower() == "authorization"), "")
    return sent != f"Bearer {record.access_token.get_secret_value()}"


def _renewed(record: TokenRecord, reply: TokenReply) -> TokenRecord:
    return record.model_copy(
        update={
            "access_token": reply.access_token,
            "refresh_token": reply.refresh_token or record.refresh_token,
            "expires_at": reply.expires_at,
            "scopes": record.scopes if reply.scopes is None else reply.scopes,
        }
    )


def _credentials_form(resource: str, scopes: tuple[str, ...]) -> dict[str, str]:
    form = {"grant_type": "client_credentials", "resource": resource}
    return {**form, "scope": " ".join(scopes)} if scopes else form


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
