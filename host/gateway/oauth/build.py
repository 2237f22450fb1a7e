"""From the entry of a server in host.yaml to what authorizes its requests."""

from collections.abc import Mapping

from pydantic import SecretStr

from host.config.oauth import OAuthClientConfig
from host.gateway.oauth.authorizer import Authorizer, BearerAuthorizer, HeaderAuthorizer
from host.gateway.oauth.consent import Consent
from host.gateway.oauth.oauth import OAuthAuthorizer
from host.secrets.tokens import TokenStore


def build_authorizer(
    name: str,
    url: str,
    *,
    auth: OAuthClientConfig | SecretStr | None,
    headers: Mapping[str, SecretStr | str] | None = None,
    store: TokenStore,
    consent: Consent | None = None,
) -> Authorizer:
    """Return the authorizer of one HTTP upstream.

    Args:
        name: The server's name.
        url: Its address.
        auth: OAuth, a fixed bearer token, or neither; then a login is offered once the server
            asks for a bearer token, unless `headers` already authorize.
        headers: Further fixed headers.
        store: Where OAuth tokens are kept.
        consent: Shows login pages; None ends a call that needs one with `LoginRequiredError`.
    """
    if isinstance(auth, OAuthClientConfig):
        return OAuthAuthorizer(
            name, url, config=auth, store=store, consent=consent, headers=headers
        )
    if auth is not None:
        return BearerAuthorizer(auth, headers)
    if any(key.lower() == "authorization" for key in headers or {}):
        return HeaderAuthorizer(headers or {})
    # Nothing was said about a login: one is offered when the server turns out to need it.
    return OAuthAuthorizer(
        name,
        url,
        config=OAuthClientConfig(),
        store=store,
        consent=consent,
        headers=headers,
        implied=True,
    )
