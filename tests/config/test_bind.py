from dataclasses import dataclass

import pytest
from pydantic import ValidationError

from host.config.bind import check_bind
from host.config.oauth import HttpOAuthConfig
from host.config.settings import HttpConfig
from host.domain.errors import ConfigError

EVERYWHERE = ".".join("0000")
OAUTH = HttpOAuthConfig(
    issuer="https://login.example.com", resource="https://mcp.example.com/mcp", default_role="user"
)


@dataclass(frozen=True)
class Http:
    host: str = "127.0.0.1"
    auth: str = "token"
    tls_terminated_by: str | None = None
    oauth: HttpOAuthConfig | None = None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost"])
@pytest.mark.parametrize("auth", ["token", "none"])
def test_loopback_needs_nothing(host: str, auth: str):
    check_bind(Http(host=host, auth=auth))


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "", "192.168.1.5", "mcp.example.com"])
@pytest.mark.parametrize(
    ("rest", "field"),
    [
        (Http(auth="none", tls_terminated_by="nginx", oauth=OAUTH), "http.host"),
        (Http(auth="oauth", oauth=OAUTH), "http.tls_terminated_by"),
        (Http(auth="oauth", tls_terminated_by="nginx"), "http.oauth"),
        (Http(auth="token", tls_terminated_by="nginx", oauth=OAUTH), "http.oauth"),
    ],
)
def test_other_addresses_need_tls_and_oauth(host: str, rest: Http, field: str):
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1") as caught:
        check_bind(Http(host, rest.auth, rest.tls_terminated_by, rest.oauth))
    assert caught.value.field == field


def test_clients_need_an_encrypted_public_address():
    plain = OAUTH.model_copy(update={"resource": "http://mcp.example.com/mcp"})
    with pytest.raises(ConfigError, match="https"):
        check_bind(Http(EVERYWHERE, "oauth", "nginx", plain))


def test_other_addresses_are_fine_with_tls_and_oauth():
    check_bind(Http(EVERYWHERE, "oauth", "nginx", OAUTH))


def test_the_configuration_is_held_to_the_same_rules():
    with pytest.raises(ValidationError, match="nothing encrypts the way there"):
        HttpConfig(host=EVERYWHERE, auth="token")
    assert HttpConfig(host="[::1]", auth="none").host == "[::1]"
