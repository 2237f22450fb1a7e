from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from joserfc.jwk import ECKey

from host.config.oauth import OAuthClientConfig
from host.domain.errors import LoginRequiredError, UpstreamAuthError
from host.gateway.oauth.authorizer import Challenge
from host.gateway.oauth.build import build_authorizer
from host.gateway.oauth.oauth import OAuthAuthorizer
from host.secrets.tokens import TokenStore
from tests.fakes.authority import FakeAuthority, FakeUpstream
from tests.fakes.visitor import AgreeingVisitor, call

HUSH = "s3cret:%"


class Scene:
    """An upstream, its authority, and an authorizer with an agreeing person."""

    def __init__(self, authority: FakeAuthority, upstream: FakeUpstream, folder: Path) -> None:
        self.authority = authority
        self.upstream = upstream
        self.folder = folder
        self.visitor = AgreeingVisitor()

    def authorizer(self, *, attended: bool = True, **settings: Any) -> OAuthAuthorizer:
        return OAuthAuthorizer(
            "docs",
            self.upstream.url,
            config=OAuthClientConfig(**settings),
            store=TokenStore(self.folder),
            consent=self.visitor if attended else None,
        )

    async def call(self, authorizer: OAuthAuthorizer) -> int:
        return await call(authorizer, self.upstream.url)

    @property
    def page(self) -> dict[str, str]:
        query = parse_qs(urlsplit(self.visitor.shown[-1]).query)
        return {name: values[0] for name, values in query.items()}


def play(
    folder: Path,
    act: Callable[[Scene], Awaitable[None]],
    authority: FakeAuthority | None = None,
    **switches: Any,
) -> None:
    async def run() -> None:
        issuer = authority or FakeAuthority()
        async with issuer.serve(), FakeUpstream(issuer, **switches).serve() as upstream:
            await act(Scene(issuer, upstream, folder))

    anyio.run(run)


def refused(folder: Path, message: str, authority: FakeAuthority, **switches: Any) -> None:
    async def act(scene: Scene) -> None:
        with pytest.raises(UpstreamAuthError, match=message):
            await scene.call(scene.authorizer())
        assert scene.authority.count("/token") == 0

    play(folder, act, authority, **switches)


def test_first_call_logs_a_person_in_and_is_then_answered(tmp_path: Path):
    async def act(scene: Scene) -> None:
        assert await scene.call(scene.authorizer()) == 200
        form = scene.authority.forms("authorization_code")[0]
        assert scene.page["code_challenge_method"] == "S256"
        assert scene.page["scope"] == "read write"
        assert scene.page["resource"] == form["resource"] == scene.upstream.url

    play(tmp_path, act, announces="read write")


@pytest.mark.parametrize("found_at", ["header", "path", "root"])
def test_upstream_says_who_its_authority_is_in_three_places(tmp_path: Path, found_at: str):
    async def act(scene: Scene) -> None:
        assert await scene.call(scene.authorizer()) == 200

    play(tmp_path, act, metadata_at=found_at)


@pytest.mark.parametrize("path", ["", "/tenant/one"])
@pytest.mark.parametrize("metadata_at", ["oauth", "oidc", "oidc-suffix"])
def test_authority_is_found_wherever_it_publishes_itself(
    tmp_path: Path, metadata_at: str, path: str
):
    async def act(scene: Scene) -> None:
        assert await scene.call(scene.authorizer()) == 200

    play(tmp_path, act, FakeAuthority(path=path, metadata_at=metadata_at))


def test_upstream_of_the_oldest_revision_is_its_own_authority(tmp_path: Path):
    async def run() -> None:
        issuer = FakeAuthority()
        async with FakeUpstream(issuer, metadata_at=None).serve() as upstream:
            issuer.base = upstream.base
            scene = Scene(issuer, upstream, tmp_path)
            assert await scene.call(scene.authorizer()) == 200

    anyio.run(run)


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_registered_client_proves_itself_as_the_authority_wants(tmp_path: Path, method: str):
    async def act(scene: Scene) -> None:
        assert await scene.call(scene.authorizer()) == 200
        assert scene.authority.clients["client-1"]["token_endpoint_auth_method"] == method

    play(tmp_path, act, FakeAuthority(auth_methods=[method]))


def test_metadata_document_is_the_client_id_where_the_authority_takes_it(tmp_path: Path):
    document = "https://host.example/client.json"

    async def act(scene: Scene) -> None:
        assert await scene.call(scene.authorizer(client_metadata_url=document)) == 200
        assert scene.page["client_id"] == document
        assert scene.authority.count("/register") == 0

    play(tmp_path, act, FakeAuthority(documents=True))


def test_client_of_the_configuration_is_used_and_nothing_is_registered(tmp_path: Path):
    async def act(scene: Scene) -> None:
        scene.authority.clients["mine"] = {
            "client_secret": HUSH,
            "token_endpoint_auth_method": "client_secret_basic",
        }
        authorizer = scene.authorizer(client_id="mine", client_secret=HUSH)
        assert await scene.call(authorizer) == 200
        assert scene.authority.count("/register") == 0

    play(tmp_path, act, FakeAuthority(auth_methods=["client_secret_basic"]))


def test_authority_without_registration_says_what_to_configure(tmp_path: Path):
    refused(tmp_path, "put client_id", FakeAuthority(registration=False))


def test_registration_is_kept_for_the_next_login(tmp_path: Path):
    async def act(scene: Scene) -> None:
        await scene.authorizer().login()
        scene.authority.access.clear()
        scene.authority.refresh.clear()
        assert await scene.call(scene.authorizer()) == 200
        assert scene.authority.count("/register") == 1

    play(tmp_path, act)


def test_authority_without_pkce_is_refused(tmp_path: Path):
    refused(tmp_path, "PKCE", FakeAuthority(challenge_methods=["plain"]))


@pytest.mark.parametrize("sent", [None, "https://evil.example"])
def test_answer_from_another_or_an_unnamed_issuer_never_redeems_its_code(
    tmp_path: Path, sent: str | None
):
    refused(tmp_path, "without saying `iss`|another server", FakeAuthority(send_iss=sent))


def test_wrong_issuer_is_refused_though_the_authority_never_announced_it(tmp_path: Path):
    authority = FakeAuthority(announce_iss=False, send_iss="https://evil.example")
    refused(tmp_path, "another server", authority)


def test_metadata_in_the_name_of_another_issuer_is_refused(tmp_path: Path):
    authority = FakeAuthority(metadata_changes={"issuer": "https://bank.example"})
    refused(tmp_path, "calls itself", authority)


def test_upstream_that_claims_to_be_another_resource_is_refused(tmp_path: Path):
    refused(tmp_path, "says that it is", FakeAuthority(), resource="https://bank.example/mcp")


@pytest.mark.parametrize(
    "endpoint",
    ["http://10.0.0.7/token", "http://169.254.169.254/latest", "http://[::ffff:127.0.0.1]/t"],
)
def test_token_endpoint_at_an_internal_address_is_never_connected_to(tmp_path: Path, endpoint: str):
    async def act(scene: Scene) -> None:
        with pytest.raises(UpstreamAuthError, match="off limits"):
            await scene.call(scene.authorizer())

    play(tmp_path, act, FakeAuthority(metadata_changes={"token_endpoint": endpoint}))


@pytest.mark.parametrize(
    "page", ["http://10.0.0.7/", "file:///etc/passwd", "javascript:alert(1)", "http://2130706433/"]
)
def test_login_page_elsewhere_than_the_web_is_never_opened(tmp_path: Path, page: str):
    async def act(scene: Scene) -> None:
        with pytest.raises(UpstreamAuthError, match=r"off limits|not a web address|disguise"):
            await scene.call(scene.authorizer())
        assert scene.visitor.shown == []

    play(tmp_path, act, FakeAuthority(metadata_changes={"authorization_endpoint": page}))


def test_one_refresh_serves_many_tasks(tmp_path: Path):
    async def act(scene: Scene) -> None:
        authorizer = scene.authorizer()
        scene.authority.lifetime = 0
        await authorizer.login()
        scene.authority.lifetime = 3600
        statuses: list[int] = []

        async def one(each: OAuthAuthorizer) -> None:
            statuses.append(await scene.call(each))

        other = scene.authorizer(attended=False)
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(one, authorizer)
                tasks.start_soon(one, other)
        assert statuses == [200] * 20
        assert len(scene.authority.forms("refresh_token")) == 1

    play(tmp_path, act)


def test_refused_token_is_refreshed_before_anybody_is_asked(tmp_path: Path):
    async def act(scene: Scene) -> None:
        await scene.authorizer().login()
        scene.authority.access.clear()
        assert await scene.call(scene.authorizer(attended=False)) == 200
        assert len(scene.authority.forms("refresh_token")) == 1

    play(tmp_path, act)


def test_refused_refresh_asks_for_a_login_by_name(tmp_path: Path):
    async def act(scene: Scene) -> None:
        await scene.authorizer().login()
        scene.authority.access.clear()
        scene.authority.refresh.clear()
        with pytest.raises(LoginRequiredError, match="host servers login docs"):
            await scene.call(scene.authorizer(attended=False))

    play(tmp_path, act)


def test_failing_authority_loses_no_refresh_token(tmp_path: Path):
    async def act(scene: Scene) -> None:
        scene.authority.lifetime = 0
        await scene.authorizer().login()
        scene.authority.token_status = 503
        with pytest.raises(UpstreamAuthError, match="status 503"):
            await scene.call(scene.authorizer(attended=False))
        scene.authority.token_status = None
        assert await scene.call(scene.authorizer(attended=False)) == 200

    play(tmp_path, act)


def test_unattended_call_without_a_login_says_which_command_to_run(tmp_path: Path):
    async def act(scene: Scene) -> None:
        with pytest.raises(LoginRequiredError, match="host servers login docs"):
            await scene.call(scene.authorizer(attended=False))

    play(tmp_path, act)


def test_lacking_rights_are_asked_for_beside_those_that_were_granted(tmp_path: Path):
    async def act(scene: Scene) -> None:
        authorizer = scene.authorizer()
        assert await scene.call(authorizer) == 200
        scene.upstream.needs = "write"
        assert await scene.call(authorizer) == 200
        assert scene.page["scope"] == "read write"

    play(tmp_path, act, announces="read")


def test_rights_that_are_never_granted_are_asked_for_once(tmp_path: Path):
    async def act(scene: Scene) -> None:
        authorizer = scene.authorizer()
        scene.authority.grant_scopes = ["read"]
        assert await scene.call(authorizer) == 200
        scene.upstream.needs = "admin"
        assert [await scene.call(authorizer), await scene.call(authorizer)] == [403, 403]
        assert len(scene.visitor.shown) == 2

    play(tmp_path, act, announces="read")


def test_rights_that_an_unattended_call_lacked_are_asked_for_at_the_next_login(tmp_path: Path):
    async def act(scene: Scene) -> None:
        await scene.authorizer().login()
        scene.upstream.needs = "write"
        with pytest.raises(LoginRequiredError, match=r"more rights \(write\)"):
            await scene.call(scene.authorizer(attended=False))
        await scene.authorizer().login()
        assert scene.page["scope"] == "read write"
        assert await scene.call(scene.authorizer(attended=False)) == 200

    play(tmp_path, act, announces="read")


def test_offline_access_is_asked_for_where_the_authority_has_it(tmp_path: Path):
    async def act(scene: Scene) -> None:
        await scene.authorizer().login()
        assert scene.page["scope"] == "read offline_access"
        assert scene.page["prompt"] == "consent"

    play(
        tmp_path, act, FakeAuthority(scopes_supported=["read", "offline_access"]), announces="read"
    )


def test_client_of_the_configuration_is_never_shown_to_a_new_authority(tmp_path: Path):
    async def act(scene: Scene) -> None:
        scene.authority.clients["mine"] = {"token_endpoint_auth_method": "none"}
        await scene.authorizer(client_id="mine").login()
        async with FakeAuthority().serve() as other:
            scene.upstream.issuers = [other.issuer]
            scene.authority.access.clear()
            with pytest.raises(UpstreamAuthError, match="authorization server changed"):
                await scene.call(scene.authorizer(client_id="mine"))
            assert other.count("/authorize") == other.count("/token") == 0

    play(tmp_path, act)


def test_moved_upstream_registers_anew_and_its_old_tokens_stay_home(tmp_path: Path):
    async def act(scene: Scene) -> None:
        await scene.authorizer().login()
        old = set(scene.authority.refresh)
        async with FakeAuthority().serve() as other:
            scene.upstream.issuers = [other.issuer]
            scene.upstream.authority = other
            assert await scene.call(scene.authorizer()) == 200
            assert other.count("/register") == 1
            assert not any(old & set(form.values()) for _, form in other.seen)

    play(tmp_path, act)


def test_only_the_configured_issuer_is_trusted(tmp_path: Path):
    async def act(scene: Scene) -> None:
        with pytest.raises(UpstreamAuthError, match=r"trusts only https://login\.example"):
            await scene.call(scene.authorizer(issuer="https://login.example"))

    play(tmp_path, act)


def test_logout_revokes_and_other_authorizers_notice(tmp_path: Path):
    async def act(scene: Scene) -> None:
        daemon = scene.authorizer(attended=False)
        await scene.authorizer().login()
        assert await scene.call(daemon) == 200
        assert await scene.authorizer().logout()
        assert scene.authority.access == scene.authority.refresh == {}
        assert dict(await daemon.headers(scene.upstream.url)) == {}
        assert not await scene.authorizer().logout()

    play(tmp_path, act)


def test_token_is_not_sent_to_another_origin(tmp_path: Path):
    async def act(scene: Scene) -> None:
        authorizer = scene.authorizer()
        await authorizer.login()
        assert dict(await authorizer.headers("https://elsewhere.example/mcp")) == {}
        assert "Authorization" in await authorizer.headers(scene.upstream.url)

    play(tmp_path, act)


def test_host_itself_logs_in_with_a_secret(tmp_path: Path):
    async def act(scene: Scene) -> None:
        scene.authority.clients["mine"] = {
            "client_secret": HUSH,
            "token_endpoint_auth_method": "client_secret_basic",
        }
        machine = scene.authorizer(
            attended=False, grant="client_credentials", client_id="mine", client_secret=HUSH
        )
        assert await scene.call(machine) == 200
        scene.authority.access.clear()
        assert await scene.call(machine) == 200
        assert len(scene.authority.forms("client_credentials")) == 2

    play(tmp_path, act, FakeAuthority(auth_methods=["client_secret_basic"]))


def test_host_itself_logs_in_with_a_key(tmp_path: Path):
    key = ECKey.generate_key("P-256")

    async def act(scene: Scene) -> None:
        scene.authority.clients["mine"] = {
            "key": key,
            "token_endpoint_auth_method": "private_key_jwt",
        }
        machine = scene.authorizer(
            attended=False,
            grant="client_credentials",
            client_id="mine",
            private_key=key.as_pem(private=True).decode(),
        )
        assert await scene.call(machine) == 200

    play(tmp_path, act)


def test_tokens_show_in_no_repr_and_no_error(tmp_path: Path):
    async def act(scene: Scene) -> None:
        authorizer = scene.authorizer()
        record = await authorizer.login()
        shown = f"{record!r} {record} {authorizer!r} {authorizer} {vars(authorizer)}"
        for secret in (*scene.authority.access, *scene.authority.refresh):
            assert secret not in shown

    play(tmp_path, act)


def test_upstream_that_refuses_every_token_asks_a_person_once(tmp_path: Path):
    async def act(scene: Scene) -> None:
        scene.authority.forget = True
        assert await scene.call(scene.authorizer()) == 401
        assert len(scene.visitor.shown) == 1

    play(tmp_path, act)


def test_login_page_can_be_shown_by_whoever_was_refused(tmp_path: Path):
    async def act(scene: Scene) -> None:
        daemon = scene.authorizer(attended=False)
        with pytest.raises(LoginRequiredError):
            await scene.call(daemon)
        await daemon.login(scene.visitor)
        assert await scene.call(daemon) == 200

    play(tmp_path, act)


@pytest.mark.parametrize("challenge", ["", 'Basic realm="x"'])
def test_refusal_without_a_bearer_challenge_is_no_login_unless_configured(
    tmp_path: Path, challenge: str
):
    async def act(scene: Scene) -> None:
        store = TokenStore(tmp_path)
        silent = build_authorizer("docs", scene.upstream.url, auth=None, store=store)
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        assert not await silent.challenged(Challenge(scene.upstream.url, 401, headers))

    play(tmp_path, act)
