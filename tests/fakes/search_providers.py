"""DuckDuckGo's HTML page and the JSON of Brave, Tavily and SearXNG, in their documented formats."""

from urllib.parse import parse_qs

from tests.fakes.site import Asked, Reply, html_reply, json_reply

_RESULT = """<div class="result results_links web-result"><div class="links_main result__body">
<h2 class="result__title"><a class="result__a" href="{href}">{title}</a></h2>
<a class="result__snippet" href="{href}">{snippet}</a></div></div>"""


def duckduckgo(asked: Asked) -> Reply:
    words = parse_qs(asked.body.decode())["q"][0]
    rows = [
        ("https://example.org/moon", f"About {words} &amp; more", "A <b>full</b> moon."),
        (
            "//duckduckgo.com/l/?uddg=https%3A%2F%2Fexample.net%2Fsun%3Fa%3D1&rut=x",
            "The sun",
            "Hot.",
        ),
        ("https://duckduckgo.com/y.js?ad_domain=shop.example", "An advertisement", "Buy."),
    ]
    cards = "".join(_RESULT.format(href=h, title=t, snippet=s) for h, t, s in rows)
    return html_reply(f"<html><body><div id='links' class='results'>{cards}</div></body></html>")


def brave(asked: Asked) -> Reply:
    if asked.headers.get("x-subscription-token") != "brave-key":
        error = {"code": "SUBSCRIPTION_TOKEN_INVALID", "detail": "The token is invalid."}
        return json_reply({"type": "ErrorResponse", "error": error}, 422)
    hit = {
        "title": "About <strong>moons</strong>",
        "url": "https://example.org/moon",
        "description": "A <strong>full</strong> moon &amp; more.",
        "page_age": "2026-09-26T00:00:00",
        "age": "2 months ago",
    }
    return json_reply({"type": "search", "web": {"type": "search", "results": [hit]}})


def tavily(asked: Asked) -> Reply:
    if asked.headers.get("authorization") != "Bearer tavily-key":
        return json_reply({"detail": {"error": "Unauthorized: missing or invalid API key."}}, 401)
    hit = {
        "title": "About moons",
        "url": "https://example.org/moon",
        "content": "A full moon & more.",
        "score": 0.9,
        "raw_content": None,
    }
    return json_reply({"query": "moon", "results": [hit], "response_time": 1.2})


def searxng(asked: Asked) -> Reply:
    hit = {
        "url": "https://example.org/moon",
        "title": "About moons",
        "content": "A full moon & more.",
        "publishedDate": "2026-09-26T00:00:00",
        "engine": "wikipedia",
        "score": 1.0,
    }
    return json_reply({"query": asked.query["q"], "results": [hit, hit], "suggestions": []})
