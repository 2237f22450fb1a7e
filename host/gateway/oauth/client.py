"""Becoming known to an authorization server: configured, by metadata document, or registered."""

from typing import Any, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from host.config.oauth import AuthMethod, OAuthClientConfig
from host.domain.errors import FetchError
from host.gateway.oauth.metadata import ServerMetadata
from host.identity.fetch import Fetcher, show_address
from host.secrets.tokens import ClientRecord

CLIENT_NAME = "mcp-agent-host"
"""Name that a person reads on the consent page."""


class _Registration(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    token_endpoint_auth_method: str | None = None


async def choose_client(
    config: OAuthClientConfig,
    server: ServerMetadata,
    *,
    fetcher: Fetcher,
    redirect_uri: str,
    scopes: tuple[str, ...],
) -> ClientRecord:
    """Return how to present the host: a configured client, a metadata document, a registration.

    Raises:
        FetchError: The server offers no way in, or registered something unusable.
    """
    if config.client_id:
        return configured_client(config, server)
    if config.client_metadata_url and server.client_id_metadata_document_supported:
        return ClientRecord(client_id=config.client_metadata_url, source="document")
    if not server.registration_endpoint:
        raise FetchError(
            f"{show_address(server.issuer)} does not register clients by itself.",
            next_step="Register one there and put client_id (and client_secret) under `auth`.",
        )
    wanted = _registration_request(server, redirect_uri=redirect_uri, scopes=scopes)
    return await _register(fetcher, server.registration_endpoint, wanted=wanted)


def configured_client(config: OAuthClientConfig, server: ServerMetadata) -> ClientRecord:
    """Return the client that host.yaml names."""
    method = config.token_endpoint_auth_method or _configured_method(config, server)
    return ClientRecord(
        client_id=config.client_id or "", client_secret=config.client_secret, auth_method=method
    )


def _configured_method(config: OAuthClientConfig, server: ServerMetadata) -> AuthMethod:
    if config.private_key:
        return "private_key_jwt"
    if not config.client_secret:
        return "none"
    # RFC 8414: a server that lists nothing takes client_secret_basic.
    listed = server.token_endpoint_auth_methods_supported or ("client_secret_basic",)
    return "client_secret_basic" if "client_secret_basic" in listed else "client_secret_post"


def _registration_request(
    server: ServerMetadata, *, redirect_uri: str, scopes: tuple[str, ...]
) -> dict[str, Any]:
    methods = server.token_endpoint_auth_methods_supported or ("client_secret_basic",)
    preferred = ("none", "client_secret_basic", "client_secret_post")
    grants = server.grant_types_supported
    request: dict[str, Any] = {
        "client_name": CLIENT_NAME,
        "redirect_uris": [redirect_uri],
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
        "application_type": "native",
        "token_endpoint_auth_method": next((m for m in preferred if m in methods), "none"),
    }
    if grants is None or "refresh_token" in grants:
        request["grant_types"].append("refresh_token")
    if scopes:
        request["scope"] = " ".join(scopes)
    return request


async def _register(fetcher: Fetcher, endpoint: str, *, wanted: dict[str, Any]) -> ClientRecord:
    reply = await fetcher.post_json(endpoint, wanted)
    where = show_address(endpoint)
    if reply.status not in {200, 201}:
        raise FetchError(
            f"{where} refused to register the host (status {reply.status}).",
            next_step="Register a client by hand and put its client_id under `auth`.",
        )
    document = {key: value for key, value in reply.json().items() if value not in (None, "")}
    try:
        made = _Registration.model_validate(document)
    except ValidationError:
        raise FetchError(f"{where} answered with a registration without client_id.") from None
    method = made.token_endpoint_auth_method or wanted["token_endpoint_auth_method"]
    if method not in get_args(AuthMethod) or method == "private_key_jwt":
        raise FetchError(f"{where} registered the host for {method!r}, which it cannot do.")
    if method.startswith("client_secret") and made.client_secret is None:
        raise FetchError(f"{where} registered the host for {method!r} without giving a secret.")
    return ClientRecord(
        client_id=made.client_id,
        client_secret=made.client_secret,
        auth_method=cast("AuthMethod", method),
        source="registered",
        redirect_uri=wanted["redirect_uris"][0],
    )
