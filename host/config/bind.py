"""Which addresses the host may listen on, and what it needs before it leaves this machine."""

import ipaddress
from typing import Protocol

from host.config.oauth import HttpOAuthConfig
from host.domain.errors import ConfigError


class BindSettings(Protocol):
    """What `http` in host.yaml says about the door."""

    @property
    def host(self) -> str:
        """Address to listen on."""
        ...

    @property
    def auth(self) -> str:
        """`token`, `oauth` or `none`."""
        ...

    @property
    def tls_terminated_by(self) -> str | None:
        """What takes TLS off before the host, such as `nginx on this machine`."""
        ...

    @property
    def oauth(self) -> HttpOAuthConfig | None:
        """Rules for OAuth tokens."""
        ...


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on is reachable from this machine only."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name can come to mean anything


def check_bind(settings: BindSettings) -> None:
    """Refuse to listen beyond this machine without TLS and OAuth.

    Args:
        settings: The `http` part of host.yaml, command-line options applied (`--no-auth` is
            `auth: none`).

    Raises:
        ConfigError: Something is missing; the message says what to write.
    """
    if is_loopback(settings.host):
        return
    where = f"{settings.host or 'every address'} is reachable from other machines"
    if settings.auth == "none":
        raise ConfigError(
            f"{where}, and --no-auth would let anybody use your tools.",
            field="http.host",
            next_step="Listen on 127.0.0.1, or leave --no-auth out.",
        )
    if not settings.tls_terminated_by:
        raise ConfigError(
            f"{where}, and nothing encrypts the way there.",
            field="http.tls_terminated_by",
            next_step="Name what terminates TLS in front of the host (tls_terminated_by: nginx), "
            "or listen on 127.0.0.1.",
        )
    if settings.auth != "oauth" or settings.oauth is None:
        raise ConfigError(
            f"{where}, and a fixed token is not enough there.",
            field="http.oauth",
            next_step="Set http.auth to oauth, and issuer, resource and roles under http.oauth; or "
            "listen on 127.0.0.1.",
        )
    if not settings.oauth.resource.startswith("https://"):
        raise ConfigError(
            f"{settings.oauth.resource} is what clients connect to, and is not https.",
            field="http.oauth.resource",
            next_step="Write the public https address of the TLS terminator.",
        )
