"""Brave, Tavily and SearXNG: providers with a JSON interface."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import SecretStr

from servers.remote import Service
from servers.search.provider import Hit, Question, plain_text
from servers.tool import RefusalError

_SAFE_NUMBERS = {"off": "0", "moderate": "1", "strict": "2"}


@dataclass(frozen=True)
class Brave:
    """Brave's own index, with a key."""

    service: Service
    url: str
    name: str = field(default="brave", init=False)

    async def search(self, question: Question) -> list[Hit]:
        """Ask; Brave pages in steps of `count`, ten at most."""
        query = {
            "q": question.text,
            "count": str(question.count),
            "offset": str(min(question.page - 1, 9)),
            "safesearch": question.safe,
        }
        if question.freshness:
            query["freshness"] = f"p{question.freshness[0]}"
        country, language = question.country(), question.language()
        if country and language:
            query |= {"country": country, "search_lang": language}
        body = await self.service.get(self.url, query)
        rows = cast("dict[str, Any]", body.get("web") or {}).get("results", [])
        return _hits("Brave", rows, snippet="description", published="page_age")


@dataclass(frozen=True)
class Tavily:
    """Tavily, with a key; it has neither pages nor regions."""

    service: Service
    url: str
    name: str = field(default="tavily", init=False)

    async def search(self, question: Question) -> list[Hit]:
        """Ask for the first page; there is no other."""
        if question.page > 1:
            return []
        asked: dict[str, object] = {"query": question.text, "max_results": question.count}
        if question.freshness:
            asked["time_range"] = question.freshness
        body = await self.service.post(self.url, asked)
        return _hits(
            "Tavily", body.get("results", []), snippet="content", published="published_date"
        )


@dataclass(frozen=True)
class Searxng:
    """A SearXNG of one's own."""

    service: Service
    url: str
    name: str = field(default="searxng", init=False)

    async def search(self, question: Question) -> list[Hit]:
        """Ask; SearXNG decides itself how many results a page has."""
        query = {
            "q": question.text,
            "format": "json",
            "pageno": str(question.page),
            "safesearch": _SAFE_NUMBERS[question.safe],
        }
        if question.freshness:
            query["time_range"] = question.freshness
        country, language = question.country(), question.language()
        if country and language:
            query["language"] = f"{language}-{country}"
        body = await self.service.get(f"{self.url.rstrip('/')}/search", query)
        rows = body.get("results", [])
        return _hits("SearXNG", rows, snippet="content", published="publishedDate")[
            : question.count
        ]


def bearer(key: SecretStr) -> dict[str, str]:
    """Return the header that carries `key`."""
    return {"Authorization": f"Bearer {key.get_secret_value()}"}


def _hits(provider: str, rows: object, *, snippet: str, published: str) -> list[Hit]:
    try:
        return [
            Hit(
                title=plain_text(row.get("title")),
                url=str(row["url"]),
                snippet=plain_text(row.get(snippet)),
                published=str(row[published]) if row.get(published) else None,
            )
            for row in cast("Iterable[dict[str, Any]]", rows)
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise RefusalError(
            f"{provider} answered in an unknown shape ({type(error).__name__}: {error}).",
            "Try again, or configure another provider.",
        ) from error
