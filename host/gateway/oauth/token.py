"""Requests to a token endpoint: proving who the client is, and reading what comes back."""

import base64
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from host.domain.errors import FetchError
from host.identity.fetch import Fetcher, Reply, show_address
from host.secrets.tokens import ClientRecord

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 120
"""Lifetime of a signed client assertion."""


class TokenRefusedError(FetchError):
    """The token endpoint said no; `code` is its reason, such as `invalid_grant`."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class TokenReply(BaseModel):
    """A successful answer of a token endpoint (RFC 6749, section 5.1)."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    access_token: SecretStr = Field(min_length=1)
    token_type: str
    expires_in: float | None = None
    refresh_token: SecretStr | None = None
    scope: str | None = None

    @field_validator("token_type")
    @classmethod
    def _bearer(cls, text: str) -> str:
        if text.lower() != "bearer":
            raise ValueError("expected Bearer")
        return text

    @property
    def expires_at(self) -> float | None:
        """Unix time of expiry, None if the server did not say."""
        return None if self.expires_in is None else time.time() + max(self.expires_in, 0)

    @property
    def scopes(self) -> tuple[str, ...] | None:
        """The granted rights, None if they are those asked for."""
        return None if self.scope is None else tuple(self.scope.split())


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs client assertions (`private_key_jwt`) with a configured key."""

    key: SecretStr = field(repr=False)
    algorithm: str

    def sign(self, client_id: str, *, audience: str) -> str:
        """Return an assertion that this client is who it says.

        Raises:
            FetchError: The key cannot be read, or does not fit the algorithm.
        """
        # Late: few clients have a key, and the signer's package takes a while to load.
        from joserfc import jwt  # noqa: PLC0415
        from joserfc.errors import JoseError  # noqa: PLC0415
        from joserfc.jwk import ECKey, OKPKey, RSAKey  # noqa: PLC0415

        kinds = {"ES": ECKey, "RS": RSAKey, "PS": RSAKey, "Ed": OKPKey}
        now = int(time.time())
        claims = {"iss": client_id, "sub": client_id, "aud": audience, "iat": now}
        claims |= {"exp": now + ASSERTION_SECONDS, "jti": secrets.token_urlsafe(16)}
        try:
            key = kinds[self.algorithm[:2]].import_key(self.key.get_secret_value())
            return jwt.encode({"alg": self.algorithm}, claims, key, algorithms=[self.algorithm])
        except (JoseError, ValueError, TypeError):
            # `from None`: a parser's message may quote the key.
            raise FetchError(f"private_key is not a PEM key for {self.algorithm}.") from None


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """One client at one token endpoint.

    Attributes:
        url: The endpoint.
        issuer: Audience of signed assertions.
        client: How the client is known there.
        signer: Signs assertions, where `client.auth_method` asks for it.
    """

    fetcher: Fetcher
    url: str
    issuer: str
    client: ClientRecord
    signer: Signer | None = None

    async def ask(self, form: Mapping[str, str]) -> TokenReply:
        """Send one grant.

        Raises:
            TokenRefusedError: The server refused it and said why.
            FetchError: It did not answer, or not with a token.
        """
        reply = await self.send(self.url, form)
        if reply.status not in {200, 201}:
            raise _refusal(reply)
        try:
            return TokenReply.model_validate(reply.json())
        except ValidationError as error:
            fields = ", ".join(sorted({str(each["loc"][0]) for each in error.errors()}))
            raise FetchError(
                f"{show_address(self.url)} answered without a usable token: {fields}."
            ) from None

    async def send(self, url: str, form: Mapping[str, str]) -> Reply:
        """Send a form with the client's proof to an endpoint of the same server."""
        proof, headers = self._prove()
        return await self.fetcher.post_form(url, {**form, **proof}, headers=headers)

    def _prove(self) -> tuple[dict[str, str], dict[str, str]]:
        client = self.client
        secret = client.client_secret.get_secret_value() if client.client_secret else ""
        if client.auth_method == "client_secret_basic":
            pair = f"{quote(client.client_id, safe='')}:{quote(secret, safe='')}"
            return {}, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        form = {"client_id": client.client_id}
        if client.auth_method == "client_secret_post":
            form["client_secret"] = secret
        if client.auth_method == "private_key_jwt":
            if self.signer is None:
                raise FetchError("private_key_jwt needs private_key in the configuration.")
            form["client_assertion_type"] = ASSERTION_TYPE
            form["client_assertion"] = self.signer.sign(client.client_id, audience=self.issuer)
        return form, {}


def _refusal(reply: Reply) -> FetchError:
    where = show_address(reply.url)
    if reply.status >= 500 or reply.status == 429:
        return FetchError(f"{where} answered with status {reply.status}.")
    try:
        document = reply.json()
    except FetchError:
        document = {}
    code = _printable(document.get("error")) or f"status {reply.status}"
    detail = _printable(document.get("error_description"))
    return TokenRefusedError(
        f"{where} refused: {code}{f' ({detail})' if detail else ''}.", code=code
    )


def _printable(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(letter for letter in text if letter.isprintable())[:200]
