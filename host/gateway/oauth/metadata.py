"""Finding out who issues tokens for an upstream: RFC 9728, then RFC 8414 or OpenID discovery."""

from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from host.domain.errors import FetchError
from host.gateway.oauth.challenge import BearerChallenge
from host.identity.fetch import Fetcher, show_address
from host.identity.well_known import same_issuer, server_addresses, split_base


class ResourceMetadata(BaseModel):
    """What an upstream says of itself (RFC 9728)."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    resource: str
    authorization_servers: tuple[str, ...] = ()
    scopes_supported: tuple[str, ...] = ()


class ServerMetadata(BaseModel):
    """What an authorization server says of itself (RFC 8414); URLs stay letter for letter."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    issuer: str
    authorization_endpoint: str | None = None
    token_endpoint: str
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    scopes_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    code_challenge_methods_supported: tuple[str, ...] = ()
    client_id_metadata_document_supported: bool = False
    authorization_response_iss_parameter_supported: bool = False


@dataclass(frozen=True, slots=True)
class Discovery:
    """The outcome: what to ask tokens for, and where.

    Attributes:
        resource: The `resource` of every request (RFC 8707).
        scopes: Rights the upstream lists, asked for when its challenge names none.
        server: The authorization server.
        announced: Where the upstream said its metadata is, None for the usual place.
    """

    resource: str
    scopes: tuple[str, ...]
    server: ServerMetadata
    announced: str | None = None


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, in the form in which they compare."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    port = parts.port or {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{(parts.hostname or '').lower()}:{port}"


def canonical_resource(url: str) -> str:
    """Return the resource identifier of an upstream's URL: host in lower case, no fragment."""
    parts = urlsplit(url)
    return parts._replace(
        scheme=parts.scheme.lower(), netloc=parts.netloc.lower(), fragment=""
    ).geturl()


def covers_resource(announced: str, url: str) -> bool:
    """Return whether an announced resource is the upstream at `url`, or a parent of it."""
    if origin(announced) != origin(url) or urlsplit(announced).fragment:
        return False
    parent = urlsplit(announced).path.rstrip("/") + "/"
    return (urlsplit(url).path.rstrip("/") + "/").startswith(parent)


def resource_addresses(url: str, announced: str | None) -> list[str]:
    """Return where the upstream's metadata may be, best first."""
    base, path = split_base(url)
    well_known = f"{base}/.well-known/oauth-protected-resource"
    found = [announced or "", f"{well_known}{path}", well_known]
    return list(dict.fromkeys(address for address in found if address))


Document = TypeVar("Document", bound=BaseModel)


async def _first(fetcher: Fetcher, addresses: list[str], model: type[Document]) -> Document | None:
    """Return the first document there is; absence is normal, a failing server is not."""
    for address in addresses:
        reply = await fetcher.get(address)
        if reply.status >= 500 or reply.status == 429:
            raise FetchError(f"{show_address(address)} answered with status {reply.status}.")
        if reply.status != 200:
            continue
        try:
            return model.model_validate(reply.json())
        except ValidationError as error:
            fields = ", ".join(sorted({str(each["loc"][0]) for each in error.errors()}))
            raise FetchError(f"{show_address(address)} has missing or wrong: {fields}.") from None
    return None


async def find_server(fetcher: Fetcher, issuer: str) -> ServerMetadata:
    """Return the metadata of an issuer.

    Raises:
        FetchError: There is none, or it speaks of another issuer: one server must not be able to
            answer in the name of another (mix-up).
    """
    found = await _first(fetcher, server_addresses(issuer), ServerMetadata)
    if found is None:
        raise FetchError(f"{show_address(issuer)} has no authorization server metadata.")
    if not same_issuer(found.issuer, issuer):
        raise FetchError(
            f"{show_address(issuer)} calls itself {show_address(found.issuer)} in its metadata."
        )
    for endpoint in (found.token_endpoint, found.registration_endpoint, found.revocation_endpoint):
        if endpoint:
            fetcher.check(endpoint)
    return found


async def discover(
    fetcher: Fetcher, url: str, *, challenge: BearerChallenge, issuer: str | None = None
) -> Discovery:
    """Find the authorization server of an upstream.

    Args:
        fetcher: Where requests may go.
        url: The upstream.
        challenge: What the upstream answered to a request without a token.
        issuer: The only authorization server to accept; None takes the first that is named.

    Raises:
        FetchError: Nothing usable was found, or what was found contradicts itself.
    """
    addresses = resource_addresses(url, challenge.resource_metadata)
    resource = await _first(fetcher, addresses, ResourceMetadata)
    if resource is None:
        # Servers of the 2025-03-26 revision are their own authorization server.
        server = await find_server(fetcher, issuer or split_base(url)[0])
        return Discovery(canonical_resource(url), (), server)
    if not covers_resource(resource.resource, url):
        raise FetchError(
            f"{show_address(url)} says that it is {show_address(resource.resource)}; a token for "
            "that address is not asked for here."
        )
    chosen = _choose_issuer(resource.authorization_servers, issuer, url=url)
    server = await find_server(fetcher, chosen)
    announced = challenge.resource_metadata
    return Discovery(resource.resource, resource.scopes_supported, server, announced)


def _choose_issuer(named: tuple[str, ...], wanted: str | None, *, url: str) -> str:
    if not named:
        raise FetchError(f"{show_address(url)} names no authorization server.")
    if wanted is None:
        return named[0]
    for each in named:
        if same_issuer(each, wanted):
            return each
    raise FetchError(
        f"{show_address(url)} names {show_address(named[0])} as its authorization server, "
        f"the configuration trusts only {show_address(wanted)}."
    )
