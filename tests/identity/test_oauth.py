import base64
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from joserfc.jwk import ECKey, RSAKey
from starlette.responses import Response

from host.config.oauth import HttpOAuthConfig
from host.domain.errors import FetchError, InvalidTokenError, MissingScopeError
from host.domain.principal import Principal
from host.gateway.oauth.challenge import parse_challenge
from host.identity.oauth import OAuthVerifier
from tests.fakes.authority import FakeAuthority

RESOURCE = "https://mcp.example.com/mcp"
Act = Callable[[FakeAuthority, OAuthVerifier], Awaitable[None]]


def play(act: Act, clock: Callable[[], float] = time.time, **settings: Any) -> None:
    async def run() -> None:
        async with FakeAuthority(metadata_at="oidc-suffix").serve() as authority:
            authority.rotate_key()
            base: dict[str, Any] = {"resource": RESOURCE, "roles": {"mcp": "user", "boss": "admin"}}
            if settings.pop("opaque", False):
                base |= {
                    "introspection_url": f"{authority.base}/introspect",
                    "introspection_client_id": "door",
                    "introspection_client_secret": "k%y",
                }
            config = HttpOAuthConfig(issuer=authority.issuer, **{**base, **settings})
            await act(authority, OAuthVerifier(config, clock=clock))

    anyio.run(run)


def test_signed_token_becomes_a_principal():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        token = authority.mint(scope="mcp other")
        assert await verifier.verify(token) == Principal(
            "oauth:ada", "oauth:ide", role="user", scopes=frozenset({"mcp", "other"})
        )
        assert authority.count("/jwks") == 1

    play(act)


def test_most_powerful_of_several_roles_counts():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        assert (await verifier.verify(authority.mint(scp=["mcp", "boss"]))).role == "admin"

    play(act)


def test_subject_and_client_cannot_be_shifted_into_each_other():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        one = await verifier.verify(authority.mint(scope="mcp", sub="a/b", client_id="c"))
        other = await verifier.verify(authority.mint(scope="mcp", sub="a", client_id="b/c"))
        local = await verifier.verify(authority.mint(scope="mcp", sub="local"))
        assert one.id != other.id
        assert local.user != "local"

    play(act)


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "https://other.example"}, "another service"),
        ({"aud": None}, "another service"),
        ({"aud": [f"{RESOURCE}/"]}, "another service"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "never expires"),
        ({"exp": "tomorrow"}, "never expires"),
        ({"nbf": 9_999_999_999}, "future"),
        ({"iat": 9_999_999_999}, "future"),
        ({"nbf": "soon"}, "not a time"),
        ({"sub": None}, "no sub"),
        ({"sub": ""}, "no sub"),
        ({"sub": 7}, "no sub"),
        ({"header": {"typ": "logout+jwt"}}, "another kind"),
        ({"header": {"kid": "unknown"}}, "does not list"),
    ],
)
def test_token_that_is_not_for_here_and_now_is_refused(claims: dict[str, Any], message: str):
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        with pytest.raises(InvalidTokenError, match=message) as caught:
            await verifier.verify(authority.mint(scope="mcp", **claims))
        answer = verifier.refusal(caught.value)
        assert answer.status == 401
        assert parse_challenge(answer.www_authenticate).error == "invalid_token"

    play(act)


def test_clocks_may_differ_by_the_leeway():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        now = int(time.time())
        await verifier.verify(authority.mint(scope="mcp", exp=now - 20, nbf=now + 20))

    play(act)


def sign_with_shared_secret(secret: bytes, *, kid: str, body: str) -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": kid}).encode())
    signed = f"{head.decode().rstrip('=')}.{body}"
    proof = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(proof).decode().rstrip('=')}"


def test_forgeries_are_refused():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        kid = str(authority.keys[0].kid)
        good = authority.mint(scope="mcp")
        head, body, signature = good.split(".")
        stranger = ECKey.generate_key("P-256", parameters={"kid": kid})
        public = authority.keys[0].as_pem(private=False)
        forged = [
            authority.mint(scope="boss", key=stranger),
            sign_with_shared_secret(public, kid=kid, body=body),
            "eyJhbGciOiJub25lIn0." + body + ".",
            f"{head}.{body}.",
            f"{head}.{body[:-2]}AA.{signature}",
            *("", ".", "..", "a.b.c", "x" * 20_000, "ü.ü.ü", good + "."),
        ]
        for token in forged:
            with pytest.raises(InvalidTokenError):
                await verifier.verify(token)
        assert (await verifier.verify(good)).role == "user"

    play(act)


def test_key_of_another_kind_than_the_algorithm_is_refused():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        rsa = RSAKey.generate_key(2048, parameters={"kid": str(authority.keys[0].kid)})
        with pytest.raises(InvalidTokenError, match="signature"):
            await verifier.verify(authority.mint(key=rsa, algorithm="RS256", scope="mcp"))

    play(act)


def test_new_key_is_fetched_once_and_invented_ones_cause_no_requests():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        keys = verifier._keys
        now = [0.0]
        keys._clock = lambda: now[0]
        await verifier.verify(authority.mint(scope="mcp"))
        authority.rotate_key()
        now[0] += 31
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(verifier.verify, authority.mint(scope="mcp"))
        assert authority.count("/jwks") == 2
        for number in range(5):
            with pytest.raises(InvalidTokenError):
                await verifier.verify(authority.mint(header={"kid": f"invented-{number}"}))
        assert authority.count("/jwks") == 2

    play(act)


def test_withdrawn_key_is_forgotten_when_the_keys_are_old():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        now = [0.0]
        verifier._keys._clock = lambda: now[0]
        token = authority.mint(scope="mcp")
        await verifier.verify(token)
        authority.rotate_key()
        now[0] += 601
        with pytest.raises(InvalidTokenError):
            await verifier.verify(token)

    play(act)


def test_silent_issuer_keeps_known_keys_for_an_hour_and_then_lets_nobody_in():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        now = [0.0]
        verifier._keys._clock = lambda: now[0]
        token = authority.mint(scope="mcp")
        await verifier.verify(token)
        authority.overrides["/jwks"] = Response(status_code=500)
        now[0] += 700
        await verifier.verify(token)
        now[0] += 3600
        with pytest.raises(FetchError, match="set of keys"):
            await verifier.verify(token)

    play(act)


@pytest.mark.parametrize("scope", ["", "read", None])
def test_token_without_any_role_is_told_which_scope_to_ask_for(scope: str | None):
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        with pytest.raises(MissingScopeError) as caught:
            await verifier.verify(authority.mint(scope=scope))
        answer = verifier.refusal(caught.value)
        challenge = parse_challenge(answer.www_authenticate)
        assert (answer.status, challenge.error) == (403, "insufficient_scope")
        assert challenge.scopes == ("mcp",)

    play(act)


def test_required_scope_is_required_whatever_the_role():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        with pytest.raises(MissingScopeError, match="lacks the scope base"):
            await verifier.verify(authority.mint(scope="boss"))
        assert (await verifier.verify(authority.mint(scope="base"))).role == "viewer"

    play(act, required_scopes=("base",), default_role="viewer")


def test_client_without_a_token_is_pointed_to_the_metadata():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        challenge = parse_challenge(verifier.refusal().www_authenticate)
        assert verifier.refusal().status == 401
        assert challenge.error is None
        assert challenge.resource_metadata == (
            "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
        )
        assert verifier.metadata_path == "/.well-known/oauth-protected-resource/mcp"
        assert verifier.metadata() == {
            "resource": RESOURCE,
            "authorization_servers": [authority.issuer],
            "scopes_supported": ["mcp", "boss"],
            "bearer_methods_supported": ["header"],
            "resource_name": "mcp-agent-host",
        }

    play(act)


def test_opaque_token_is_looked_up_and_remembered_for_a_moment():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        token = authority.issue(scopes="mcp", resource=RESOURCE, client="ide")["access_token"]
        first = await verifier.verify(token)
        assert first == await verifier.verify(token)
        assert (first.user, first.role) == ("oauth:ada", "user")
        assert authority.count("/introspect") == 1

    play(act, opaque=True)


def test_revoked_token_is_refused_at_once_without_a_memory():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        token = authority.issue(scopes="mcp", resource=RESOURCE, client="ide")["access_token"]
        await verifier.verify(token)
        authority.access.clear()
        with pytest.raises(InvalidTokenError, match="not active"):
            await verifier.verify(token)

    play(act, opaque=True, introspection_cache=0)


def test_opaque_token_for_another_service_is_refused():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        made = authority.issue(scopes="mcp", resource="https://other.example", client="ide")
        with pytest.raises(InvalidTokenError, match="another service"):
            await verifier.verify(made["access_token"])

    play(act, opaque=True)


def test_failing_introspection_is_neither_yes_nor_no():
    async def act(authority: FakeAuthority, verifier: OAuthVerifier) -> None:
        authority.overrides["/introspect"] = Response(status_code=500)
        with pytest.raises(FetchError, match="status 500"):
            await verifier.verify("opaque")

    play(act, opaque=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithms": ["none"]}, "expected one of"),
        ({"algorithms": ["HS256"]}, "expected one of"),
        ({"algorithms": []}, "at least 1"),
        ({"roles": {}}, "nobody gets in"),
        ({"introspection_url": "https://x.example/i"}, "introspection_client_id"),
        ({"issuer": "login.example.com"}, "expected a web address"),
        ({"resource": "https://u:p@mcp.example.com"}, "without user"),
    ],
)
def test_unsafe_settings_are_refused(settings: dict[str, Any], message: str):
    base = {"issuer": "https://a.example", "resource": RESOURCE, "roles": {"mcp": "user"}}
    with pytest.raises(ValueError, match=message):
        HttpOAuthConfig.model_validate({**base, **settings})
