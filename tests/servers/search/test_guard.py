import ipaddress
import ssl

import anyio
import anyio.abc
import httpcore
import httpx
import pytest
from anyio.streams.tls import TLSStream

from servers.search.guard import Guard, GuardedBackend
from servers.search.transport import BackendTransport
from servers.tool import RefusalError
from tests.fakes.site import Reply, Site

pytestmark = pytest.mark.anyio

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - refused here
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "3fff::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo for 192.0.2.45
]
PUBLIC = ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_in_any_wrapping_are_refused(address: str):
    assert not Guard().permits(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str):
    assert Guard().permits(ipaddress.ip_address(address))


def test_allowed_network_is_an_exception_for_itself_only():
    guard = Guard([ipaddress.ip_network("10.1.2.0/24")])

    assert guard.permits(ipaddress.ip_address("10.1.2.3"))
    assert guard.permits(ipaddress.ip_address("::ffff:10.1.2.3"))
    assert not guard.permits(ipaddress.ip_address("10.1.3.3"))


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "017700000001", "127.1", "0177.0.0.1", "0x7f.1"]
)
async def test_odd_spellings_of_loopback_are_refused(host: str):
    # Systems differ in which of these they take for an address; none may lead to it.
    with pytest.raises(RefusalError, match=r"not an address of the public|cannot be resolved"):
        await Guard().addresses(host, 80)


async def test_one_private_address_among_public_ones_refuses_the_name():
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.215.14", "10.0.0.1"]

    with pytest.raises(RefusalError, match=r"'mixed.example' is 10.0.0.1"):
        await Guard(resolve=resolve).addresses("mixed.example", 80)


async def test_scoped_link_local_address_is_refused():
    async def resolve(host: str, port: int) -> list[str]:
        return ["fe80::1%eth0"]

    with pytest.raises(RefusalError, match="not an address of the public internet"):
        await Guard(resolve=resolve).addresses("neighbour.example", 80)


async def test_connection_goes_to_the_checked_address_and_keeps_the_host_name(site: Site):
    site.put("/", Reply(b"here"))
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])  # a name that changes after the check

    async def resolve(host: str, port: int) -> list[str]:
        assert host == "rebinding.example"
        return next(answers)

    guard = Guard([ipaddress.ip_network("127.0.0.1/32")], resolve)
    async with httpx.AsyncClient(transport=BackendTransport(GuardedBackend(guard))) as client:
        response = await client.get(f"http://rebinding.example:{site.port}/")

    assert response.text == "here"
    assert site.asked[0].headers["host"] == f"rebinding.example:{site.port}"
    assert next(answers) == ["127.0.0.2"]  # it was resolved once


async def test_tls_name_is_that_of_the_url():
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _s, name, _c: names.append(name)

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    guard = Guard([ipaddress.ip_network("127.0.0.1/32")], resolve)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(  # noqa: S610 - not Django's
        anyio.abc.SocketAttribute.local_port
    )

    async def greet(stream: anyio.abc.ByteStream) -> None:
        with pytest.raises((ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream)):
            await TLSStream.wrap(stream, server_side=True, ssl_context=context)
        await stream.aclose()

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, greet)
        async with httpx.AsyncClient(transport=BackendTransport(GuardedBackend(guard))) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"https://named.example:{port}/")
        tasks.cancel_scope.cancel()

    assert names == ["named.example"]


async def test_unix_sockets_are_never_opened():
    with pytest.raises(httpcore.ConnectError):
        await GuardedBackend(Guard()).connect_unix_socket("/run/docker.sock")
