import gzip
import sys
import zlib
from pathlib import Path

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

from servers.search.pace import Pace
from servers.search.robots import parse_robots
from servers.search.server import create_server
from servers.search.settings import Settings
from tests.fakes.documents import ARTICLE, make_pdf
from tests.fakes.mcp_call import Caller, ask, ask_text, labels_of
from tests.fakes.site import Reply, Site, html_reply

ROOT = Path(__file__).parents[3]
EXTRACT = ROOT / "servers" / "search" / "extract.py"
pytestmark = pytest.mark.anyio


def typed(body: bytes, kind: str, **headers: str) -> Reply:
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return Reply(body, headers={"Content-Type": kind, **named})


async def test_page_becomes_markdown_without_menu_and_scripts(client: Caller, site: Site):
    site.put("/moon", html_reply(ARTICLE))

    page = await ask(client, "fetch", url=f"{site.url}/moon")

    assert page["title"] == "Harvest moon"
    assert "# Harvest moon" in page["text"]
    assert f"[the name]({site.url}/name)" in page["text"]
    assert "| 2026 | 26 September |" in page["text"]
    assert "Menu entry" not in page["text"]
    assert "alert" not in page["text"]


async def test_raw_gives_the_source(client: Caller, site: Site):
    site.put("/moon", html_reply(ARTICLE))

    page = await ask(client, "fetch", url=f"{site.url}/moon", raw=True)

    assert page["text"] == ARTICLE


async def test_slices_join_to_the_whole_and_ask_the_site_once(client: Caller, site: Site):
    text = "".join(f"line {n}\n" for n in range(100))
    site.put("/long", typed(text.encode(), "text/plain"))

    pieces: list[str] = []
    start: int | None = 0
    while start is not None:
        page = await ask(client, "fetch", url=f"{site.url}/long", start=start, max_chars=300)
        pieces.append(page["text"])
        start = page["next_start"]

    assert "".join(pieces) == text
    assert len(pieces) == 3
    assert site.paths() == ["/robots.txt", "/long"]
    with pytest.raises(ToolError, match="has 790 characters; there is none at 5000"):
        await ask(client, "fetch", url=f"{site.url}/long", start=5000)


async def test_readable_text_says_how_to_read_on(client: Caller, site: Site):
    site.put("/long", typed(b"word " * 100, "text/plain"))

    text = await ask_text(client, "fetch", url=f"{site.url}/long", max_chars=100)

    assert "characters 0 to 100 of 500; read on with start=100" in text


async def test_pdf_is_read_page_by_page(client: Caller, site: Site):
    site.put("/paper", typed(make_pdf("First page", "Second page"), "application/pdf"))

    page = await ask(client, "fetch", url=f"{site.url}/paper")

    assert page["text"] == "<!-- page 1 -->\n\nFirst page\n\n<!-- page 2 -->\n\nSecond page"
    assert page["pages"] == 2


async def test_charset_of_the_header_and_of_the_text_are_understood(client: Caller, site: Site):
    site.put("/latin", typed("Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1"))
    site.put("/bom", typed("\ufeffGrüße".encode(), "text/plain"))
    site.put("/odd", typed("Grüße".encode(), "text/plain; charset=klingon"))

    for path in ("/latin", "/bom", "/odd"):
        assert (await ask(client, "fetch", url=site.url + path))["text"] == "Grüße"


@pytest.mark.parametrize("kind", ["image/png", "application/zip", "video/mp4"])
async def test_types_without_text_are_refused_before_their_body(
    client: Caller, site: Site, kind: str
):
    endless = iter(lambda: b"x" * 10_000, b"")
    site.put("/file", lambda _: Reply(headers={"Content-Type": kind}, chunks=endless))

    with pytest.raises(ToolError, match=f"is {kind}, which has no text"):
        await ask(client, "fetch", url=f"{site.url}/file")


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"<html>", "application/pdf", "says it is a PDF, but it is not"),
        (b"\x00\x01" * 100, "text/plain", "is not text"),
        (b"%PDF-1.4 broken", "text/html", "cannot be parsed"),
    ],
)
async def test_bodies_that_are_not_what_they_claim_are_refused(
    client: Caller, site: Site, body: bytes, kind: str, said: str
):
    site.put("/file", typed(body, kind))

    with pytest.raises(ToolError, match=said):
        await ask(client, "fetch", url=f"{site.url}/file")


async def test_compressed_pages_are_read(client: Caller, site: Site):
    bare = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(b"packed"),
        "deflate": zlib.compress(b"packed"),
        "x-gzip": gzip.compress(b"packed"),
        "Deflate": bare.compress(b"packed") + bare.flush(),
    }
    for name, body in packed.items():
        site.put(f"/{name}", typed(body, "text/plain", Content_Encoding=name))
        assert (await ask(client, "fetch", url=f"{site.url}/{name}"))["text"] == "packed"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_decompression_bomb_stops_at_the_limit(client: Caller, site: Site, encoding: str):
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    bomb = pack(bytes(200_000_000))
    assert len(bomb) < 250_000
    site.put("/bomb", typed(bomb, "text/html", Content_Encoding=encoding))

    with pytest.raises(ToolError, match="more than the 1000000 bytes"):
        await ask(client, "fetch", url=f"{site.url}/bomb")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
async def test_compressions_not_asked_for_are_refused(client: Caller, site: Site, encoding: str):
    site.put("/page", typed(b"data", "text/html", Content_Encoding=encoding))

    with pytest.raises(ToolError, match="was not asked for"):
        await ask(client, "fetch", url=f"{site.url}/page")


async def test_broken_compression_is_an_error_not_a_crash(client: Caller, site: Site):
    site.put("/page", typed(b"not gzip at all", "text/html", Content_Encoding="gzip"))

    with pytest.raises(ToolError, match="compression is broken"):
        await ask(client, "fetch", url=f"{site.url}/page")


@pytest.mark.parametrize("announced", [True, False])
async def test_large_bodies_are_cut_off(client: Caller, site: Site, *, announced: bool):
    endless = Reply(headers={"Content-Type": "text/plain"}, chunks=iter(lambda: b"x" * 50_000, b""))
    site.put("/big", typed(bytes(2_000_000), "text/plain") if announced else endless)

    with pytest.raises(ToolError, match="more than the 1000000 bytes"):
        await ask(client, "fetch", url=f"{site.url}/big")


async def test_redirects_are_followed_and_the_final_address_is_told(client: Caller, site: Site):
    site.put("/old", Reply(status=301, headers={"Location": "/new"}))
    site.put("/new", typed(b"moved here", "text/plain"))

    page = await ask(client, "fetch", url=f"{site.url}/old#part")

    assert (page["url"], page["text"]) == (f"{site.url}/new", "moved here")


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://2852039166/",
        "http://0.0.0.0:22/",
        "//192.168.0.1/admin",
    ],
)
async def test_redirect_into_a_private_network_is_refused(client: Caller, site: Site, target: str):
    site.put("/out", Reply(status=302, headers={"Location": target}))

    with pytest.raises(ToolError, match="not an address of the public internet"):
        await ask(client, "fetch", url=f"{site.url}/out")


async def test_redirect_to_a_name_is_resolved_and_checked_again(client: Caller, site: Site):
    site.put("/loop", Reply(status=302, headers={"Location": "/loop"}))
    site.put("/file", Reply(status=302, headers={"Location": "file:///etc/passwd"}))

    with pytest.raises(ToolError, match="redirects more than 10 times"):
        await ask(client, "fetch", url=f"{site.url}/loop")
    with pytest.raises(ToolError, match="is not a web address"):
        await ask(client, "fetch", url=f"{site.url}/file")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///etc/passwd", "is not a web address"),
        ("ftp://example.com/", "is not a web address"),
        ("example.com", "starts with https://"),
        ("http://", "is not a web address"),
        ("http://user:secret@example.com/", "carries a user name or password"),
        ("http://exa\x00mple.com/", "is not a web address"),
        ("http://[::1/", "is not a web address"),
        ("http://host.invalid/", "cannot be resolved"),
        ("http://127.0.0.2/", "not an address of the public internet"),
    ],
)
async def test_addresses_that_are_not_public_pages_are_refused(client: Caller, url: str, said: str):
    with pytest.raises(ToolError, match=said) as failure:
        await ask(client, "fetch", url=url)

    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"gone", 404), "answered HTTP 404. Check the address"),
        (Reply(b"oops", 500), "answered HTTP 500. Try another source"),
        (Reply(b"", 429, {"Retry-After": "30"}), "limits how often.*Try in 30 s"),
        (Reply(b"", 304), "answered HTTP 304"),
    ],
)
async def test_error_statuses_say_what_to_try(client: Caller, site: Site, reply: Reply, said: str):
    site.put("/page", reply)

    with pytest.raises(ToolError, match=said):
        await ask(client, "fetch", url=f"{site.url}/page")


async def test_slow_site_is_given_up(settings: Settings, site: Site):
    site.hang("/slow")
    hasty = settings.model_copy(update={"timeout_seconds": 0.2})

    async with Client(create_server(hasty)) as client:
        with pytest.raises(ToolError, match=r"did not send the page within 0.2 s"):
            await ask(client, "fetch", url=f"{site.url}/slow")


async def test_robots_txt_is_obeyed_and_asked_for_once(client: Caller, site: Site):
    site.put("/robots.txt", typed(b"User-agent: *\nDisallow: /private", "text/plain"))
    site.put("/open", typed(b"open", "text/plain"))
    site.put("/private/page", typed(b"secret", "text/plain"))

    with pytest.raises(ToolError, match=r"robots.txt asks programs to leave"):
        await ask(client, "fetch", url=f"{site.url}/private/page")
    assert (await ask(client, "fetch", url=f"{site.url}/open"))["text"] == "open"
    assert site.paths() == ["/robots.txt", "/open"]


async def test_unavailable_robots_txt_disallows_and_a_missing_one_allows(
    client: Caller, site: Site
):
    site.put("/page", typed(b"text", "text/plain"))
    site.put("/robots.txt", Reply(b"", 503))

    with pytest.raises(ToolError, match=r"robots.txt"):
        await ask(client, "fetch", url=f"{site.url}/page")


@pytest.mark.parametrize(
    ("rules", "url", "allowed"),
    [
        ("User-agent: *\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow:", "/a", True),
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf", False),
        ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf?z", True),
        ("User-agent: *\nDisallow: /a*b*c", "/a1b2c3", False),
        ("User-agent: *\nDisallow: /a*b*c", "/a1c2b3", True),
        ("User-agent: mcp-agent-host\nDisallow: /\n\nUser-agent: *\nAllow: /", "/a", False),
        ("User-agent: other\nDisallow: /", "/a", True),
        ("User-agent: other\nUser-agent: *\nDisallow: /a # why", "/a", False),
        ("Disallow: /\nnonsense\n:::", "/a", True),
    ],
)
def test_robots_rules_follow_the_standard(rules: str, url: str, *, allowed: bool):
    robots = parse_robots(rules)

    assert robots.allows("mcp-agent-host", f"http://example.com{url}") is allowed


async def test_requests_to_one_site_are_spaced_and_other_sites_are_not_held_up():
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    pace = Pace(2.0, clock=lambda: 100.0, sleep=sleep)
    for host in ("a", "a", "b", "a"):
        await pace.turn(host)

    assert waits == [2.0, 4.0]


async def test_tools_declare_strangers_output_and_sending(client: Caller):
    assert await labels_of(client) == {
        "fetch": ["untrusted", "egress"],
        "web_search": ["untrusted", "egress"],
    }
    for tool in await client.list_tools():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.annotations.open_world_hint
        assert tool.output_schema is not None


async def test_it_runs_alone_and_confined_over_stdio(site: Site):
    site.put("/moon", html_reply(ARTICLE))
    transport = StdioTransport(
        sys.executable,
        ["-m", "servers.search", "--allow-networks", '["127.0.0.1/32"]'],
        env={"HOST_SERVER_CONFINE": "1"},
        cwd=str(ROOT),
    )
    async with Client(transport) as client:
        page = await ask(client, "fetch", url=f"{site.url}/moon")

    assert "# Harvest moon" in page["text"]
