import gzip
import zlib
from typing import Any
from urllib.parse import parse_qs

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from servers.launch import SettingsError
from servers.search.server import create_server
from servers.search.settings import Settings
from tests.fakes.mcp_call import ask, ask_text
from tests.fakes.search_providers import brave, duckduckgo, searxng, tavily
from tests.fakes.site import Reply, Site, html_reply, json_reply

pytestmark = pytest.mark.anyio


def settings(site: Site, *providers: str, **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "providers": list(providers),
            "duckduckgo_url": f"{site.url}/ddg",
            "brave_url": f"{site.url}/brave",
            "tavily_url": f"{site.url}/tavily",
            "searxng_url": site.url,
            "brave_key": "brave-key",
            "tavily_key": "tavily-key",
            **more,
        }
    )


@pytest.fixture(autouse=True)
def providers(site: Site) -> None:
    site.put("/ddg", duckduckgo)
    site.put("/brave", brave)
    site.put("/tavily", tavily)
    site.put("/search", searxng)


async def search(given: Settings, **arguments: Any) -> dict[str, Any]:
    async with Client(create_server(given)) as client:
        return await ask(client, "web_search", **{"query": "moon", **arguments})


async def test_duckduckgo_needs_no_key_and_its_redirects_and_ads_are_undone(site: Site):
    found = await search(settings(site, "duckduckgo"), freshness="week", region="de-de", page=2)

    assert found["hits"] == [
        {
            "title": "About moon & more",
            "url": "https://example.org/moon",
            "snippet": "A full moon.",
            "published": None,
        },
        {
            "title": "The sun",
            "url": "https://example.net/sun?a=1",
            "snippet": "Hot.",
            "published": None,
        },
    ]
    form = parse_qs(site.asked[0].body.decode())
    assert (form["q"], form["l"], form["df"], form["s"]) == (["moon"], ["de-de"], ["w"], ["10"])


@pytest.mark.parametrize(
    ("provider", "published"),
    [("brave", "2026-09-26T00:00:00"), ("tavily", None), ("searxng", "2026-09-26T00:00:00")],
)
async def test_every_provider_answers_in_one_shape(
    site: Site, provider: str, published: str | None
):
    found = await search(settings(site, provider), count=1)

    assert found["provider"] == provider
    assert [h["url"] for h in found["hits"]] == ["https://example.org/moon"]
    assert found["hits"][0]["snippet"] == "A full moon & more."
    assert found["hits"][0]["title"] == "About moons"
    assert found["hits"][0]["published"] == published


@pytest.mark.parametrize(
    ("provider", "asked"),
    [
        (
            "brave",
            {
                "q": "moon",
                "count": "5",
                "offset": "1",
                "safesearch": "strict",
                "freshness": "pm",
                "country": "AT",
                "search_lang": "de",
            },
        ),
        (
            "searxng",
            {
                "q": "moon",
                "format": "json",
                "pageno": "2",
                "safesearch": "2",
                "time_range": "month",
                "language": "de-AT",
            },
        ),
    ],
)
async def test_options_reach_the_provider_in_its_words(
    site: Site, provider: str, asked: dict[str, str]
):
    given = settings(site, provider, safe_search="strict")

    await search(given, count=5, page=2, freshness="month", region="at-de")

    assert site.asked[0].query == asked


async def test_tavily_has_no_second_page(site: Site):
    assert (await search(settings(site, "tavily"), page=2))["hits"] == []
    assert site.asked == []


async def test_next_provider_is_asked_when_one_fails_and_the_failure_is_told(site: Site):
    site.put("/brave", Reply(b"", 500))

    async with Client(create_server(settings(site, "brave", "searxng"))) as client:
        found = await ask(client, "web_search", query="moon")
        text = await ask_text(client, "web_search", query="moon")

    assert found["provider"] == "searxng"
    assert found["failed"] == ["brave: Brave failed (HTTP 500). Try again later."]
    assert "Asked before without success: brave" in text
    assert site.paths() == ["/brave", "/search"]  # the second call came from the cache


@pytest.mark.parametrize(
    ("provider", "path", "reply", "said"),
    [
        ("duckduckgo", "/ddg", Reply(b"<html/>", 202), "takes this machine for a robot"),
        (
            "duckduckgo",
            "/ddg",
            html_reply("<div class='anomaly-modal'>ducks</div>"),
            "takes this machine for a robot",
        ),
        ("duckduckgo", "/ddg", Reply(b"x", 500), r"failed \(HTTP 500\)"),
        ("brave", "/brave", json_reply({}, 429, Retry_After="1"), "Try again in 1 s"),
        ("brave", "/brave", json_reply({"web": {"results": [{"title": "x"}]}}), "unknown shape"),
        ("brave", "/brave", json_reply({"web": {"results": 7}}), "unknown shape"),
        ("searxng", "/search", Reply(b"Forbidden", 403), "refused access"),
        ("searxng", "/search", html_reply("<html>"), "not JSON"),
        ("tavily", "/tavily", Reply(b'{"results": ['), "not JSON"),
    ],
)
async def test_failures_of_providers_are_told(
    site: Site, provider: str, path: str, reply: Reply, said: str
):
    site.put(path, reply)

    with pytest.raises(ToolError, match=f"No search provider answered. {provider}: .*{said}"):
        await search(settings(site, provider))


PATHS = {"duckduckgo": "/ddg", "brave": "/brave", "tavily": "/tavily", "searxng": "/search"}
every_provider = pytest.mark.parametrize("provider", PATHS)


@every_provider
async def test_provider_that_sends_elsewhere_is_not_followed(site: Site, provider: str):
    site.put(PATHS[provider], Reply(b"", 302, {"Location": f"{site.url}/inside"}))
    site.put("/inside", html_reply("<html>secret of the private network</html>"))

    with pytest.raises(ToolError, match=rf"{provider}: .*HTTP 302"):
        await search(settings(site, provider))
    assert site.paths() == [PATHS[provider]]


@every_provider
async def test_endless_answer_of_a_provider_is_cut_off(site: Site, provider: str):
    endless = iter(lambda: b"<p>" + b" " * 100_000, b"")
    site.put(PATHS[provider], lambda _: Reply(chunks=endless))

    with pytest.raises(ToolError, match=rf"{provider}: .*more than \d000000 bytes"):
        await search(settings(site, provider))


@every_provider
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_decompression_bomb_of_a_provider_does_not_unfold(
    site: Site, provider: str, encoding: str
):
    bomb = (gzip.compress if encoding == "gzip" else zlib.compress)(b" " * 100_000_000)
    headers = {"Content-Type": "text/html", "Content-Encoding": encoding}
    site.put(PATHS[provider], Reply(bomb, headers=headers))

    with pytest.raises(ToolError, match=rf"{provider}: .*(more than \d000000 bytes|compressed)"):
        await search(settings(site, provider))


@every_provider
async def test_rate_limit_of_a_provider_is_told(site: Site, provider: str):
    site.put(PATHS[provider], Reply(b"", 429, {"Retry-After": "7"}))

    with pytest.raises(ToolError, match=rf"{provider}: .*[Tt]ry again in (7 s|some minutes)"):
        await search(settings(site, provider))


@every_provider
async def test_provider_that_sends_a_picture_is_told_from_one_without_results(
    site: Site, provider: str
):
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    site.put(PATHS[provider], Reply(picture, headers={"Content-Type": "image/png"}))

    with pytest.raises(ToolError, match=rf"{provider}: .*(not JSON|image/png)"):
        await search(settings(site, provider))


async def test_wrong_keys_are_told_without_the_key(site: Site):
    given = settings(site, "brave", "tavily", brave_key="wrong-1", tavily_key="wrong-2")

    with pytest.raises(ToolError, match=r"token is invalid.*Check the API key") as failure:
        await search(given)

    assert "wrong-" not in str(failure.value)


async def test_nothing_found_is_an_answer(site: Site):
    site.put("/ddg", html_reply("<html><body><div class='no-results'>None</div></body></html>"))

    assert (await search(settings(site, "duckduckgo")))["hits"] == []


@every_provider
async def test_slow_provider_is_given_up(site: Site, provider: str):
    site.hang(PATHS[provider])

    with pytest.raises(ToolError, match=r"did not answer within 0.3 s"):
        await search(settings(site, provider, timeout_seconds=0.3))


@pytest.mark.parametrize("provider", ["brave", "tavily", "searxng"])
def test_provider_without_its_key_is_refused_at_start(provider: str):
    with pytest.raises(SettingsError, match=f"the provider {provider} needs it"):
        create_server(Settings.model_validate({"providers": [provider]}))
