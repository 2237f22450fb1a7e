"""`host servers login | logout NAME`: log in to an HTTP server with OAuth, and out again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from host.config.oauth import OAuthClientConfig
    from host.gateway.oauth.oauth import OAuthAuthorizer

_TEXT_BROWSERS = {"www-browser", "links", "elinks", "lynx", "w3m"}


@dataclass(frozen=True, slots=True)
class LoginTarget:
    """One server of host.yaml, as far as a login needs it.

    Attributes:
        name: Its name.
        url: Its address.
        auth: What it says about the login.
        headers: Its fixed headers.
        tokens: Folder of the host's OAuth tokens.
    """

    name: str
    url: str
    auth: "OAuthClientConfig"
    tokens: Path
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)


Find = Callable[[str, Path | None], LoginTarget]
"""Finds a server by name in the configuration (`--config`, None for the usual one)."""


def register_login(group: typer.Typer, find: Find) -> None:
    """Add `login` and `logout` to the group `servers`."""

    @group.command()
    def login(
        name: str = typer.Argument(help="Name of the server in host.yaml."),
        browser: bool = typer.Option(
            True, help="Open a browser; otherwise print the address and take the answer as text."
        ),
        config: Path | None = typer.Option(None, help="Configuration file."),
    ) -> None:
        """Log in to an HTTP server; the host keeps the tokens and refreshes them."""
        import anyio

        anyio.run(_login, find(name, config), browser)

    @group.command()
    def logout(
        name: str = typer.Argument(help="Name of the server in host.yaml."),
        config: Path | None = typer.Option(None, help="Configuration file."),
    ) -> None:
        """Revoke and forget the tokens of an HTTP server."""
        import anyio

        target = find(name, config)
        had = anyio.run(_authorizer(target, browser=False).logout)
        print(f"Logged out of {name}." if had else f"You were not logged in to {name}.")


async def _login(target: LoginTarget, browser: bool) -> None:
    authorizer = _authorizer(target, browser=browser)
    record = await authorizer.login()
    print(f"Logged in to {target.name} at {record.issuer}.")
    if record.scopes:
        print(f"Rights: {' '.join(record.scopes)}")
    print(f"The tokens are kept in {authorizer.store}.")


def _authorizer(target: LoginTarget, *, browser: bool) -> "OAuthAuthorizer":
    from host.gateway.oauth.consent import BrowserConsent, PasteConsent
    from host.gateway.oauth.oauth import OAuthAuthorizer
    from host.secrets.tokens import TokenStore

    consent = BrowserConsent(print, _browse) if browser else PasteConsent(print, input)
    store = TokenStore.of_user(target.tokens)
    return OAuthAuthorizer(
        target.name,
        target.url,
        config=target.auth,
        store=store,
        consent=consent,
        headers=target.headers,
    )


def _browse(url: str) -> bool:
    import webbrowser

    try:
        controller = webbrowser.get()
    except webbrowser.Error:
        return False
    # A text browser would take over this terminal, and cannot show most login pages.
    if getattr(controller, "name", "") in _TEXT_BROWSERS:
        return False
    return controller.open(url)
