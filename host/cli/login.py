"""`host servers login | logout NAME`: log in to an HTTP server with OAuth, and out again."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from host.config.oauth import OAuthClientConfig
    from host.gateway.oauth.oauth import OAuthAuthorizer

CONFIG_OPTION = typer.Option(None, "--config", help="Configuration file.")
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


def register_login(group: typer.Typer) -> None:
    """Add `login` and `logout` to the group `servers`."""
    group.command("login")(login)
    group.command("logout")(logout)


def login(
    name: str = typer.Argument(help="Name of the server in host.yaml."),
    browser: bool = typer.Option(
        True, help="Open a browser; otherwise print the address and take the answer as text."
    ),
    config: Path | None = CONFIG_OPTION,
) -> None:
    """Log in to an HTTP server; the host keeps the tokens and refreshes them."""
    import anyio

    anyio.run(_login, find_target(name, config), browser)


def logout(
    name: str = typer.Argument(help="Name of the server in host.yaml."),
    config: Path | None = CONFIG_OPTION,
) -> None:
    """Revoke and forget the tokens of an HTTP server."""
    import anyio

    had = anyio.run(_authorizer(find_target(name, config), browser=False).logout)
    print(f"Logged out of {name}." if had else f"You were not logged in to {name}.")


def find_target(name: str, config: Path | None = None) -> LoginTarget:
    """Return a server of the configuration that can be logged in to.

    Args:
        name: Its name.
        config: Configuration file; None for the one that holds.

    Raises:
        NotFoundError: There is no such server.
        ConfigError: It is a program of this machine, or has a fixed token.
    """
    from host.config.load import load_settings
    from host.config.oauth import OAuthClientConfig
    from host.config.paths import user_paths
    from host.domain.errors import ConfigError, NotFoundError

    servers = load_settings(config).settings.servers
    server = servers.get(name)
    if server is None:
        raise NotFoundError("server", name, servers)
    if server.url is None:
        raise ConfigError(f"The server {name!r} is a program of this machine; it has no login.")
    if server.auth.type == "bearer":
        raise ConfigError(
            f"The server {name!r} has a fixed token in the configuration.",
            field=f"servers.{name}.auth",
            next_step="Write `auth: {type: oauth}` to log in instead.",
        )
    auth = server.auth if server.auth.type == "oauth" else OAuthClientConfig()
    tokens = user_paths().data / "oauth"
    return LoginTarget(name, str(server.url), auth, tokens, server.plain_headers())


async def _login(target: LoginTarget, browser: bool) -> None:
    authorizer = _authorizer(target, browser=browser)
    record = await authorizer.login()
    print(f"Logged in to {target.name} at {record.issuer}.")
    if record.scopes:
        print(f"Rights: {' '.join(record.scopes)}")
    print(f"The tokens are kept in {authorizer.place}.")


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
