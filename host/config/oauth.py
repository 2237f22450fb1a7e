"""OAuth in host.yaml: `servers.NAME.auth` of type oauth, and `http.oauth` for the host itself."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from host.config.document import StrictModel
from host.domain.principal import Role

ASYMMETRIC_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""Signature algorithms that may be allowed: none of them shares a secret with the issuer."""


def _check_web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected a web address such as https://login.example.com")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("expected a web address without user, password or #fragment")
    return text


def _check_algorithm(name: str) -> str:
    if name not in ASYMMETRIC_ALGORITHMS:
        raise ValueError(f"expected one of {', '.join(ASYMMETRIC_ALGORITHMS)}, got {name!r}")
    return name


WebAddress = Annotated[str, AfterValidator(_check_web_address)]
"""An http or https URL, kept letter for letter: OAuth compares issuers as plain strings."""

AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
"""How a client proves itself at a token endpoint."""


class OAuthClientConfig(StrictModel):
    """OAuth 2.1 towards one HTTP upstream; everything may be left out."""

    type: Literal["oauth"] = "oauth"
    """Marks this kind of `auth`."""
    grant: Literal["authorization_code", "client_credentials"] = "authorization_code"
    """`authorization_code`: a person logs in; `client_credentials`: the host itself is the user."""
    scopes: tuple[str, ...] = ()
    """Rights to ask for; empty means what the server asks for."""
    client_id: str | None = None
    """Id of a client registered beforehand; None means a metadata document or registration."""
    client_secret: SecretStr | None = None
    """Its secret; None for a public client."""
    private_key: SecretStr | None = None
    """PEM of the key that signs assertions, for `private_key_jwt`."""
    signing_algorithm: Annotated[str, AfterValidator(_check_algorithm)] = "ES256"
    """Algorithm of `private_key`."""
    token_endpoint_auth_method: AuthMethod | None = None
    """How the client proves itself; None means what the authorization server supports."""
    client_metadata_url: WebAddress | None = None
    """https address of a client id metadata document, used where the server supports it."""
    issuer: WebAddress | None = None
    """The only authorization server to trust; None means the first that the server names."""
    redirect_port: int = Field(default=0, ge=0, le=65535)
    """Port on 127.0.0.1 that the login comes back to; 0 means any free one."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.client_secret or self.private_key) and not self.client_id:
            raise ValueError("client_secret and private_key need a client_id")
        if self.grant == "client_credentials" and not (self.client_secret or self.private_key):
            raise ValueError("grant client_credentials needs client_id and a secret or key")
        document = self.client_metadata_url
        if document and not (document.startswith("https://") and urlsplit(document).path[1:]):
            raise ValueError("client_metadata_url must be https and have a path")
        return self


class HttpOAuthConfig(StrictModel):
    """OAuth 2.1 on the host's own HTTP door, where the host is the resource server."""

    issuer: WebAddress
    """The authorization server; compared letter for letter with the `iss` of each token."""
    resource: WebAddress
    """Public address of this host's endpoint, such as https://mcp.example.com/mcp."""
    audience: tuple[str, ...] = ()
    """Values of `aud` to accept; empty means `resource` alone."""
    jwks_url: WebAddress | None = None
    """Where the issuer's keys are; None means what its metadata says."""
    algorithms: tuple[Annotated[str, AfterValidator(_check_algorithm)], ...] = Field(
        default=("RS256", "PS256", "ES256", "EdDSA"), min_length=1
    )
    """Signature algorithms to accept; `none` and shared-secret ones are not possible."""
    introspection_url: WebAddress | None = None
    """Where opaque tokens are looked up (RFC 7662); None means only JWTs are accepted."""
    introspection_client_id: str | None = None
    """Client id of this host at the introspection endpoint."""
    introspection_client_secret: SecretStr | None = None
    """Its secret."""
    introspection_cache: float = Field(default=30, ge=0, le=300)
    """Seconds for which a looked-up token stays good; 0 asks every time."""
    required_scopes: tuple[str, ...] = ()
    """Scopes that every token must have; they are what a client asks for first."""
    roles: dict[str, Role] = Field(default_factory=dict[str, Role])
    """Scope → role; of several, the most powerful counts."""
    default_role: Role | None = None
    """Role of a token none of whose scopes is in `roles`; None refuses it."""
    subject_claim: str = "sub"
    """Claim that names the user."""
    client_claim: str = "client_id"
    """Claim that names the client; `azp` stands in where it is missing."""
    leeway: float = Field(default=30, ge=0, le=300)
    """Seconds by which the clocks may differ."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.introspection_url and not (
            self.introspection_client_id and self.introspection_client_secret
        ):
            raise ValueError(
                "introspection_url needs introspection_client_id and introspection_client_secret"
            )
        if not self.roles and not self.default_role:
            raise ValueError("expected roles (scope: role) or a default_role; else nobody gets in")
        return self

    @property
    def audiences(self) -> tuple[str, ...]:
        """The accepted values of `aud`."""
        return self.audience or (self.resource,)
