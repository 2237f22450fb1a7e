"""Where an authorization server publishes its metadata, and when two issuer names are one."""

from urllib.parse import urlsplit


def split_base(url: str) -> tuple[str, str]:
    """Return scheme with authority, and the path without its final slash."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


def server_addresses(issuer: str) -> list[str]:
    """Return where an issuer's metadata may be (RFC 8414, OpenID discovery), best first."""
    base, path = split_base(issuer)
    found = [
        f"{base}/.well-known/oauth-authorization-server{path}",
        f"{base}/.well-known/openid-configuration{path}",
        f"{base}{path}/.well-known/openid-configuration",
    ]
    return list(dict.fromkeys(found))


def same_issuer(one: str, other: str) -> bool:
    """Return whether two issuers are the same, letter for letter.

    Only the final slash that many libraries add to a bare origin is overlooked.
    """
    return one == other or (one.rstrip("/") == other.rstrip("/") and not split_base(one)[1])
