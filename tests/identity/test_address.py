import anyio
import pytest

from host.domain.errors import FetchError
from host.identity.address import Reach, classify_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("93.184.216.34", "public"),
        ("2606:2800:220:1::1", "public"),
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd12::1", "private"),
        ("169.254.169.254", "forbidden"),
        ("fe80::1%eth0", "forbidden"),
        ("224.0.0.1", "forbidden"),
        ("ff02::1", "forbidden"),
        ("0.0.0.1", "forbidden"),
        ("::", "forbidden"),
        ("255.255.255.255", "forbidden"),
        ("240.0.0.1", "forbidden"),
        ("192.0.2.1", "forbidden"),
        ("::ffff:127.0.0.1", "forbidden"),
        ("::ffff:8.8.8.8", "forbidden"),
        ("::127.0.0.1", "forbidden"),
        ("2002:7f00:1::", "forbidden"),
        ("64:ff9b::7f00:1", "forbidden"),
        ("64:ff9b::808:808", "public"),
        ("fec0::1", "forbidden"),
    ],
)
def test_every_address_has_its_class(text: str, expected: str):
    assert classify_address(text) == expected


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "1."]
)
def test_disguised_address_is_refused_even_where_loopback_is_allowed(host: str):
    reach = Reach(frozenset({"public", "loopback", "private"}))
    with pytest.raises(FetchError, match="disguise"):
        anyio.run(reach.resolve, host, 443)


@pytest.mark.parametrize(
    ("url", "classes"),
    [
        ("https://93.184.216.34/mcp", {"public"}),
        ("http://127.0.0.1:8000/mcp", {"public", "loopback"}),
        ("http://[::1]:8000/mcp", {"public", "loopback"}),
        ("http://localhost:8000/mcp", {"public", "loopback"}),
        ("http://10.0.0.4/mcp", {"public", "private"}),
        ("http://169.254.169.254/mcp", {"public"}),
    ],
)
def test_login_reaches_no_closer_than_its_upstream(url: str, classes: set[str]):
    assert anyio.run(Reach.of, url).classes == classes


def test_public_name_that_means_this_machine_does_not_open_loopback(
    monkeypatch: pytest.MonkeyPatch,
):
    async def lookup(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr("host.identity.address.lookup", lookup)
    reach = anyio.run(Reach.of, "https://evil.example/mcp")
    with pytest.raises(FetchError, match="off limits"):
        anyio.run(reach.resolve, "evil.example", 443)


def test_one_internal_address_among_public_ones_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
):
    async def lookup(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    monkeypatch.setattr("host.identity.address.lookup", lookup)
    with pytest.raises(FetchError, match=r"10\.0\.0\.1"):
        anyio.run(Reach().resolve, "mixed.example", 443)
