"""The authorization-code flow with PKCE: from a login page to a token record."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import anyio

from host.config.oauth import OAuthClientConfig
from host.domain.errors import FetchError
from host.gateway.oauth.client import choose_client
from host.gateway.oauth.consent import (
    LOGIN_SECONDS,
    Consent,
    Redirect,
    RedirectListener,
    listen_for_redirect,
    parse_redirect,
    single_failure,
)
from host.gateway.oauth.metadata import Discovery, ServerMetadata
from host.gateway.oauth.token import Signer, TokenEndpoint, TokenReply
from host.identity.fetch import Fetcher, show_address
from host.secrets.tokens import ClientRecord, TokenRecord


@dataclass(frozen=True, slots=True)
class Login:
    """One login of a person to one upstream.

    Attributes:
        config: What host.yaml says.
        fetcher: Where requests may go.
        discovery: Whom to ask for what.
        consent: Shows the login page.
        scopes: Rights to ask for.
        client: How the host is already known to this issuer, None if it is not.
    """

    config: OAuthClientConfig
    fetcher: Fetcher
    discovery: Discovery
    consent: Consent
    scopes: tuple[str, ...]
    client: ClientRecord | None = None

    async def run(self) -> TokenRecord:
        """Send the person to the login page and return what they came back with.

        Raises:
            FetchError: The server cannot do it safely, refused, or nobody came back.
        """
        server = self.discovery.server
        await self._check_server(server)
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
        async with listen_for_redirect(await self._port(), state=state) as listener:
            client = await self._known_client(listener.redirect_uri)
            url = self._login_page(client, listener.redirect_uri, state=state, verifier=verifier)
            redirect = await self._ask(url, listener)
        code = _check_redirect(redirect, server)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": listener.redirect_uri,
            "resource": self.discovery.resource,
        }
        endpoint = token_endpoint(self.config, self.fetcher, server=server, client=client)
        return make_record(self.discovery, client, await endpoint.ask(form), asked=self.scopes)

    async def _check_server(self, server: ServerMetadata) -> None:
        if "S256" not in server.code_challenge_methods_supported:
            raise FetchError(
                f"{show_address(server.issuer)} does not announce PKCE with S256, without which a "
                "stolen code is enough to act as you."
            )
        if not server.authorization_endpoint:
            raise FetchError(f"{show_address(server.issuer)} has no authorization_endpoint.")
        # The browser goes there, not the host; still, no page of this machine's or network's own,
        # and nothing that is not a web address: what a browser command does with it is anything.
        page = urlsplit(server.authorization_endpoint)
        reach = self.fetcher.check(server.authorization_endpoint)
        await reach.resolve(page.hostname or "", page.port or 443)

    async def _port(self) -> int:
        if self.config.redirect_port or not (self.client and self.client.redirect_uri):
            return self.config.redirect_port
        # The address that was registered, while it is free; else a new registration.
        port = urlsplit(self.client.redirect_uri).port or 0
        try:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
        except OSError:
            return 0
        await listener.aclose()
        return port

    async def _known_client(self, redirect_uri: str) -> ClientRecord:
        known = self.client
        if known and known.source == "registered" and known.redirect_uri == redirect_uri:
            return known
        return await choose_client(
            self.config,
            self.discovery.server,
            fetcher=self.fetcher,
            redirect_uri=redirect_uri,
            scopes=self.scopes,
        )

    def _login_page(
        self, client: ClientRecord, redirect_uri: str, *, state: str, verifier: str
    ) -> str:
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
            "resource": self.discovery.resource,
        }
        if self.scopes:
            query["scope"] = " ".join(self.scopes)
        if "offline_access" in self.scopes:
            query["prompt"] = "consent"  # OpenID Connect gives offline_access only after asking
        page = urlsplit(self.discovery.server.authorization_endpoint or "")
        kept = [pair for pair in parse_qsl(page.query) if pair[0] not in query]
        url = page._replace(query=urlencode([*kept, *query.items()]), fragment="").geturl()
        # Whatever opens it, a shell script among them, sees no quote, backslash or space.
        return quote(url, safe=":/?#[]@!$&()*+,;=%~")

    async def _ask(self, url: str, listener: RedirectListener) -> Redirect:
        redirect: Redirect | None = None

        async def show() -> None:
            told = await self.consent.show(url)
            if told is not None and not listener.accept(parse_redirect(told)):
                raise FetchError("That address does not belong to this login.")

        with single_failure(), anyio.move_on_after(LOGIN_SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(show)
                redirect = await listener.wait()
                tasks.cancel_scope.cancel()
        if redirect is None:
            raise FetchError(f"Nobody logged in within {LOGIN_SECONDS:g} seconds.")
        return redirect


def _check_redirect(redirect: Redirect, server: ServerMetadata) -> str:
    # Letter for letter, before anything else is believed (RFC 9207): a redirect from another
    # server means that it tries to have its code, or the victim's, redeemed at the wrong place.
    if redirect.issuer is None:
        if server.authorization_response_iss_parameter_supported:
            raise FetchError(f"{show_address(server.issuer)} sent you back without saying `iss`.")
    elif redirect.issuer != server.issuer:
        raise FetchError(
            f"The login at {show_address(server.issuer)} came back from another server, "
            f"{show_address(redirect.issuer)}."
        )
    if redirect.error or not redirect.code:
        reason = "".join(each for each in redirect.error or "no code" if each.isprintable())[:80]
        raise FetchError(f"{show_address(server.issuer)} did not log you in: {reason}.")
    return redirect.code


def token_endpoint(
    config: OAuthClientConfig,
    fetcher: Fetcher,
    *,
    server: ServerMetadata,
    client: ClientRecord,
) -> TokenEndpoint:
    """Return the token endpoint of a server for one client."""
    return TokenEndpoint(
        fetcher, server.token_endpoint, server.issuer, client, signer=make_signer(config)
    )


def make_signer(config: OAuthClientConfig) -> Signer | None:
    """Return the signer of client assertions; None without a configured key."""
    return Signer(config.private_key, config.signing_algorithm) if config.private_key else None


def make_record(
    discovery: Discovery, client: ClientRecord, reply: TokenReply, *, asked: tuple[str, ...]
) -> TokenRecord:
    """Return what is kept of a first token."""
    return TokenRecord(
        resource=discovery.resource,
        issuer=discovery.server.issuer,
        token_endpoint=discovery.server.token_endpoint,
        revocation_endpoint=discovery.server.revocation_endpoint,
        resource_metadata=discovery.announced,
        client=client,
        access_token=reply.access_token,
        refresh_token=reply.refresh_token,
        expires_at=reply.expires_at,
        scopes=asked if reply.scopes is None else reply.scopes,
    )
