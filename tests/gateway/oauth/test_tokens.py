"""Tokens after a login: refreshed, widened, revoked, and shown to nobody else."""

from pathlib import Path

import anyio
import pytest
from joserfc.jwk import ECKey

from host.domain.errors import LoginRequiredError, UpstreamAuthError
from host.gateway.oauth.oauth import OAuthAuthorizer
from tests.fakes.authority import FakeAuthority
from tests.gateway.oauth.logins import HUSH, Scene, play


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
