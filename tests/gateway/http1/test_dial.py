"""Connections through proxies and with TLS."""

import datetime as dt
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from host.config.proxy import find_proxy
from host.gateway.http1.client import HttpClient
from host.gateway.http1.dial import Dialer
from host.gateway.http1.error import NotSentError
from host.gateway.http1.url import HttpUrl
from tests.fakes.scripted_http import Script, ScriptedServer, Wire, answers, plain


def contexts(folder: Path, name: str = "localhost") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context for a name, and that of a client who trusts its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


async def get(client: HttpClient, url: str) -> bytes:
    reply = await client.request("GET", HttpUrl.parse(url), headers={})
    body = await reply.read(1000)
    reply.release()
    return body


def play(act: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        with anyio.fail_after(20):
            await act()

    for uvloop in (False, True):
        anyio.run(run, backend_options={"use_uvloop": uvloop})


def tunnel(asked: list[bytes]) -> Script:
    """A proxy that connects to whatever CONNECT names."""

    async def script(wire: Wire) -> None:
        head = await wire.request()
        asked.append(head)
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as far:
            await wire.say(b"HTTP/1.1 200 Connection established\r\nVia: fake\r\n\r\n")

            async def back() -> None:
                async for data in far:
                    await wire.say(data)
                wire.writer.close()

            async with anyio.create_task_group() as group:
                group.start_soon(back)
                while data := await wire.reader.read(4096):
                    await far.send(data)
                group.cancel_scope.cancel()

    return script


def test_tls_server_answers_over_a_kept_connection(tmp_path: Path):
    server_side, client_side = contexts(tmp_path)

    async def act() -> None:
        script = answers(plain(b"one"), plain(b"two"))
        async with ScriptedServer(script, tls=server_side).serve() as server:
            client = HttpClient(dialer=Dialer(tls=client_side))
            assert await get(client, server.url) == b"one"
            assert await get(client, server.url) == b"two"
            assert server.connections == 1
            await client.close()

    play(act)


def test_tls_server_with_another_name_is_refused(tmp_path: Path):
    server_side, client_side = contexts(tmp_path, "other.test")

    async def act() -> None:
        async with ScriptedServer(answers(), tls=server_side).serve() as server:
            client = HttpClient(dialer=Dialer(tls=client_side))
            with pytest.raises(NotSentError, match="certificate"):
                await get(client, server.url)
            await client.close()

    play(act)


def test_secure_server_is_reached_through_a_tunnel(tmp_path: Path):
    server_side, client_side = contexts(tmp_path)

    async def act() -> None:
        asked: list[bytes] = []
        async with (
            ScriptedServer(answers(plain(b"yes")), tls=server_side).serve() as server,
            ScriptedServer(tunnel(asked)).serve() as proxy,
        ):
            address = f"http://me:secret@127.0.0.1:{proxy.port}"
            client = HttpClient(lambda _: address, Dialer(tls=client_side))
            assert await get(client, server.url) == b"yes"
            assert asked[0].startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % server.port)
            assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in asked[0]
            await client.close()

    play(act)


def test_plain_server_is_asked_for_by_its_whole_url():
    async def act() -> None:
        seen: list[bytes] = []

        async def script(wire: Wire) -> None:
            seen.append(await wire.request())
            await wire.say(plain(b"from the proxy"))

        async with ScriptedServer(script).serve() as proxy:
            client = HttpClient(lambda _: f"http://me:secret@127.0.0.1:{proxy.port}")
            assert await get(client, "http://far.test:8080/mcp?a=b") == b"from the proxy"
            assert seen[0].startswith(b"GET http://far.test:8080/mcp?a=b HTTP/1.1\r\n")
            assert b"host: far.test:8080\r\n" in seen[0]
            assert b"proxy-authorization: Basic bWU6c2VjcmV0\r\n" in seen[0]
            await client.close()

    play(act)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy"),
        (b"HTTP/1.1 200 OK\r\n\r\nearly", "spoke before"),
        (b"", "no answer"),
        (b"x" * 100_000, "no answer"),
    ],
)
def test_proxy_that_refuses_a_tunnel_is_named(answer: bytes, message: str):
    async def act() -> None:
        async def script(wire: Wire) -> None:
            await wire.request()
            await wire.say(answer)

        async with ScriptedServer(script).serve() as proxy:
            client = HttpClient(lambda _: f"http://127.0.0.1:{proxy.port}")
            with pytest.raises(NotSentError, match=message) as caught:
                await get(client, "https://far.test/")
            assert str(proxy.port) in str(caught.value)
            await client.close()

    play(act)


def test_proxy_of_an_unknown_kind_is_refused():
    async def act() -> None:
        client = HttpClient(lambda _: "socks5://127.0.0.1:1")
        with pytest.raises(NotSentError, match="socks5"):
            await get(client, "http://far.test/")

    play(act)


def test_environment_names_the_proxy_and_what_it_is_not_for(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,.inside.test")
    assert find_proxy("https://far.test:8443") == "http://proxy.test:3128"
    assert find_proxy("http://far.test") is None
    assert find_proxy("https://a.inside.test") is None
    assert find_proxy("https://localhost:8443") is None
