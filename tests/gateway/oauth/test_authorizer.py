import anyio
from pydantic import SecretStr

from host.gateway.oauth.authorizer import BearerAuthorizer, Challenge, HeaderAuthorizer

URL = "https://tools.example/mcp"


def test_fixed_headers_accompany_every_request():
    authorizer = HeaderAuthorizer({"X-Team": "blue", "X-Key": SecretStr("hush")})
    assert anyio.run(authorizer.headers, URL) == {"X-Team": "blue", "X-Key": "hush"}


def test_bearer_token_joins_the_other_headers_and_stays_out_of_the_repr():
    authorizer = BearerAuthorizer(SecretStr("hush"), {"X-Team": "blue"})
    assert anyio.run(authorizer.headers, URL) == {
        "X-Team": "blue",
        "Authorization": "Bearer hush",
    }
    assert "hush" not in repr(authorizer)


def test_fixed_credentials_are_not_tried_twice():
    authorizer = BearerAuthorizer(SecretStr("hush"))
    challenge = Challenge(URL, 401, {"www-authenticate": "Bearer"})
    assert anyio.run(authorizer.challenged, challenge) is False


def test_challenge_header_is_found_in_any_case_and_kept_out_of_the_repr():
    challenge = Challenge(URL, 401, {"www-authenticate": "Bearer x"}, sent={"Authorization": "t0k"})
    assert challenge.header("WWW-Authenticate") == "Bearer x"
    assert "t0k" not in repr(challenge)
