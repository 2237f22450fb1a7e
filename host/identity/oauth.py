"""The host as an OAuth 2.1 resource server: tokens in, principals out."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlsplit

from host.config.oauth import HttpOAuthConfig
from host.domain.errors import AccessError, InvalidTokenError, MissingScopeError
from host.domain.principal import Principal, Role
from host.identity.address import Reach
from host.identity.fetch import Fetcher
from host.identity.introspection import Introspector
from host.identity.jwks import KeyCache

MAX_TOKEN = 16 * 1024
"""Letters of a token that are looked at; a longer one is refused."""
POWER: dict[Role, int] = {"viewer": 0, "user": 1, "approver": 2, "admin": 3}
"""How much each role may do."""
WELL_KNOWN = "/.well-known/oauth-protected-resource"
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """How HTTP says no: a status and the `WWW-Authenticate` that tells a client what to do."""

    status: int
    www_authenticate: str


class OAuthVerifier:
    """Turns bearer tokens into principals, by the rules of `http.oauth`.

    Args:
        config: The rules.
        clock: Unix time.
        fetcher: Sends requests to the issuer; None allows any address but forbidden ones, since
            the operator of this host wrote it down.
    """

    def __init__(
        self,
        config: HttpOAuthConfig,
        *,
        clock: Callable[[], float] = time.time,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        sender = fetcher or Fetcher(Reach(frozenset({"public", "private", "loopback"})))
        self._keys = KeyCache(sender, issuer=config.issuer, url=config.jwks_url)
        self._introspector = (
            Introspector(config, fetcher=sender) if config.introspection_url else None
        )

    async def verify(self, token: str) -> Principal:
        """Return who a token speaks for.

        Raises:
            InvalidTokenError: It is not good here: answer 401 with `refusal(error)`.
            MissingScopeError: It is good but not enough: answer 403 with `refusal(error)`.
            FetchError: The issuer cannot be asked: answer 503; nobody gets in meanwhile.
        """
        if not token or len(token) > MAX_TOKEN or not token.isascii():
            raise InvalidTokenError("The token is empty, too long, or not ASCII.")
        header = _read_header(token)
        if header is not None:
            claims = await self._signed_claims(token, header)
            if claims.get("iss") != self._config.issuer:
                raise InvalidTokenError("The token is from another issuer.")
            if not isinstance(claims.get("exp"), int | float):
                raise InvalidTokenError("The token never expires.")
        elif self._introspector is not None:
            claims = await self._introspector.claims(token)
            if claims.get("iss", self._config.issuer) != self._config.issuer:
                raise InvalidTokenError("The token is from another issuer.")
        else:
            raise InvalidTokenError("The token is not a JWT, and http.oauth has no introspection.")
        self._check_times(claims)
        self._check_audience(claims)
        return self._principal(claims)

    async def _signed_claims(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._config.algorithms:
            raise InvalidTokenError("The token is signed with an algorithm that is not allowed.")
        if str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise InvalidTokenError("The token is a JWT of another kind than an access token.")
        if not isinstance(kid, str | None) or "crit" in header or "b64" in header:
            raise InvalidTokenError("The token's header asks for something that is not supported.")
        key = await self._keys.find(kid, algorithm=algorithm)
        # Extra header fields (x5t and the like) are ignored: keys come from the issuer alone.
        from joserfc import jwt  # noqa: PLC0415 - needed for the first token only
        from joserfc.errors import JoseError  # noqa: PLC0415
        from joserfc.jws import JWSRegistry  # noqa: PLC0415

        registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        try:
            return jwt.decode(token, key, algorithms=[algorithm], registry=registry).claims
        except (JoseError, ValueError, TypeError):
            raise InvalidTokenError("The token's signature is wrong.") from None

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now, leeway = self._clock(), self._config.leeway
        for name in ("exp", "nbf", "iat"):
            value = claims.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidTokenError(f"The token's {name} is not a time.")
            if name == "exp" and not now < value + leeway:
                raise InvalidTokenError("The token has expired.")
            if name != "exp" and not value - leeway <= now:
                raise InvalidTokenError("The token is from the future.")

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        given = claims.get("aud")
        audience = cast("list[Any]", given) if isinstance(given, list) else [given]
        if not any(each in self._config.audiences for each in audience):
            raise InvalidTokenError("The token is for another service.")

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        config = self._config
        subject = claims.get(config.subject_claim)
        if not isinstance(subject, str) or not subject:
            raise InvalidTokenError(f"The token has no {config.subject_claim}.")
        scopes = _read_scopes(claims)
        missing = [each for each in config.required_scopes if each not in scopes]
        if missing:
            raise MissingScopeError(
                f"The token lacks the scope {' '.join(missing)}.", scopes=config.required_scopes
            )
        client = claims.get(config.client_claim) or claims.get("azp") or "unnamed"
        return Principal(
            user=f"oauth:{_escape(subject)}",
            client=f"oauth:{_escape(str(client))}",
            role=self._role(scopes),
            scopes=scopes,
        )

    def _role(self, scopes: frozenset[str]) -> Role:
        config = self._config
        found: list[Role] = [role for scope, role in config.roles.items() if scope in scopes]
        if config.default_role:
            found.append(config.default_role)
        if not found:
            wanted = sorted(config.roles, key=lambda scope: POWER[config.roles[scope]])
            raise MissingScopeError(
                f"The token has none of the scopes {', '.join(wanted)}.",
                scopes=(*config.required_scopes, *wanted[:1]),
            )
        return max(found, key=POWER.__getitem__)

    @property
    def metadata_path(self) -> str:
        """Path of the protected-resource metadata (RFC 9728); serve it without a token."""
        return WELL_KNOWN + urlsplit(self._config.resource).path.rstrip("/")

    def metadata(self) -> dict[str, Any]:
        """Return the protected-resource metadata document."""
        config = self._config
        scopes = dict.fromkeys((*config.required_scopes, *config.roles))
        return {
            "resource": config.resource,
            "authorization_servers": [config.issuer],
            "scopes_supported": list(scopes),
            "bearer_methods_supported": ["header"],
            "resource_name": "mcp-agent-host",
        }

    def refusal(self, error: AccessError | None = None) -> Refusal:
        """Return how to answer a request without a token (None), or with a refused one."""
        parts = urlsplit(self._config.resource)
        address = f"{parts.scheme}://{parts.netloc}{self.metadata_path}"
        fields = {"resource_metadata": address}
        scopes = self._config.required_scopes
        if isinstance(error, MissingScopeError):
            fields["error"], scopes = "insufficient_scope", error.scopes
        elif error is not None:
            fields["error"] = "invalid_token"
        if error is not None:
            fields["error_description"] = error.message
        if scopes:
            fields["scope"] = " ".join(scopes)
        text = ", ".join(f'{name}="{_quotable(value)}"' for name, value in fields.items())
        status = 403 if isinstance(error, MissingScopeError) else 401
        return Refusal(status, f"Bearer {text}")


def _read_header(token: str) -> Mapping[str, Any] | None:
    """Return the header of a JWT; None for a token that is not one."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        header = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, Any]", header) if isinstance(header, dict) else None


def _read_scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    value = claims.get("scope", claims.get("scp"))
    if isinstance(value, str):
        return frozenset(value.split())
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return frozenset(each for each in listed if isinstance(each, str))


def _escape(text: str) -> str:
    # `Principal.id` joins user and client with a slash: `a/b` + `c` must not equal `a` + `b/c`.
    return quote(text, safe="@|:+,=~!$'()* ")


def _quotable(text: str) -> str:
    return "".join(
        each for each in text if each.isascii() and each.isprintable() and each not in '"\\'
    )
