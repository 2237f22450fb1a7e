import json

import aiohttp
import pytest

from tests.fakes.gateway_scene import Scene, open_scene, stdio

pytestmark = pytest.mark.anyio

PING = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25"},
}


async def knock(scene: Scene, **headers: str) -> int:
    """Return the status of an initialize request with further headers."""
    base = {"accept": "application/json, text/event-stream"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as http,
        http.post(scene.url, json=PING, headers={**base, **named}) as reply,
    ):
        return reply.status


async def test_foreign_host_and_origin_are_refused():
    async with open_scene({}) as scene:
        assert await knock(scene) == 200
        for host in ("evil.com", "localhost.evil.com", "127.0.0.1.evil.com", "evil.com:80", ""):
            assert await knock(scene, host=host) == 403, host
        for origin in ("http://evil.com", "null", "file://", "http://localhost.evil.com", "x"):
            assert await knock(scene, origin=origin) == 403, origin
        for origin in ("http://localhost:3000", "http://127.0.0.1", "http://[::1]:1"):
            assert await knock(scene, origin=origin) == 200, origin


async def test_token_is_asked_for_and_a_revoked_one_is_refused_at_once():
    async with open_scene({"bad": stdio()}, auth="token") as scene:
        token = scene.host.tokens.create("ada")
        assert await knock(scene) == 401
        for wrong in (
            "",
            "Bearer",
            "Bearer x",
            f"Basic {token}",
            f"Bearer {token[:-1]}",
            "Bearer \xff",
        ):
            assert await knock(scene, authorization=wrong) == 401, wrong
        assert await knock(scene, authorization=f"bearer {token}") == 200
        async with scene.handshake(token=token) as client:
            assert await client.request("ping") == {}
            scene.host.tokens.revoke("ada")
            assert await knock(scene, authorization=f"Bearer {token}") == 401
            async with client.http.post(client.url, json=PING, headers=client.headers) as reply:
                assert reply.status == 401


async def test_session_of_another_principal_is_not_found():
    async with open_scene({"bad": stdio()}, auth="token") as scene:
        ada, bob = scene.host.tokens.create("ada"), scene.host.tokens.create("bob")
        async with scene.handshake(token=ada) as client:
            headers = {**client.headers, "authorization": f"Bearer {bob}"}
            ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            async with client.http.post(client.url, json=ping, headers=headers) as reply:
                assert reply.status == 404
            async with client.http.get(client.url, headers=headers) as reply:
                assert reply.status == 404
            async with client.http.delete(client.url, headers=headers) as reply:
                assert reply.status == 404
            assert await client.request("ping") == {}


async def test_client_over_its_rate_waits_and_others_do_not():
    async with open_scene({}, auth="token", requests_per_minute=3) as scene:
        ada, bob = scene.host.tokens.create("ada"), scene.host.tokens.create("bob")
        statuses = [await knock(scene, authorization=f"Bearer {ada}") for _ in range(5)]
        assert statuses[:3] == [200, 200, 200]
        assert 429 in statuses[3:]
        assert await knock(scene, authorization=f"Bearer {bob}") == 200


async def test_other_paths_and_methods_are_refused():
    async with open_scene({}) as scene, aiohttp.ClientSession() as http:
        base = scene.url.removesuffix("/mcp")
        async with http.get(f"{base}/other") as reply:
            assert reply.status == 404
        for method in ("PUT", "PATCH", "OPTIONS", "HEAD", "TRACE"):
            async with http.request(method, scene.url) as reply:
                assert reply.status == 405, method
        async with http.post(scene.url, json=PING, headers={"accept": "text/html"}) as reply:
            assert reply.status == 406
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
            headers = {"content-type": kind}
            async with http.post(scene.url, data=json.dumps(PING), headers=headers) as reply:
                assert reply.status == 415, kind
                assert "application/json" in (await reply.json())["error"]["message"]
        async with http.get(scene.url, headers={"accept": "text/event-stream"}) as reply:
            assert reply.status == 400
        headers = {"accept": "*/*", "mcp-protocol-version": "1999-01-01"}
        async with http.post(scene.url, json={**PING, "method": "ping"}, headers=headers) as reply:
            assert reply.status == 400
