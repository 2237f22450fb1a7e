"""None"""

from pathlib import Path

import anyio
import pytest

from host.domain.errors import LoginRequiredError, UpstreamAuthError
from host.gateway.oauth.authorizer import Challenge
from host.gateway.oauth.build import build_authorizer
from host.secrets.tokens import TokenStore
from tests.fakes.authority import FakeAuthority, FakeUpstream
from tests.gateway.oauth.logins import HUSH, Scene, play, refused


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


def test_unattended_call_without_a_login_says_which_command_to_run(tmp_path: Path):
    async def act(scene: Scene) -> None:
        with pytest.raises(LoginRequiredError, match="host servers login docs"):
            await scene.call(scene.authorizer(attended=False))

    play(tmp_path, act)


def test_offline_access_is_asked_for_where_the_authority_has_it(tmp_path: Path):
    async def act(scene: Scene) -> None:
        await scene.authorizer().login()
        assert scene.page["scope"] == "read offline_access"
        assert scene.page["prompt"] == "consent"

    play(
        tmp_path, act, FakeAuthority(scopes_supported=["read", "offline_access"]), announces="read"
    )


def test_only_the_configured_issuer_is_trusted(tmp_path: Path):
    async def act(scene: Scene) -> None:
        with pytest.raises(UpstreamAuthError, match=r"trusts only https://login\.example"):
            await scene.call(scene.authorizer(issuer="https://login.example"))

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
