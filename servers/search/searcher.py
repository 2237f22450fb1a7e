"""Asks the configured search providers in order, and remembers what they said."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from pydantic import BaseModel, ConfigDict

from servers.cache import Cache
from servers.launch import SettingsError
from servers.remote import Service
from servers.search.duckduckgo import DuckDuckGo
from servers.search.keyed import Brave, Searxng, Tavily, bearer
from servers.search.provider import Hit, Provider, Question
from servers.search.settings import ProviderName, Settings
from servers.tool import RefusalError


class SearchResults(BaseModel):
    """What a provider found."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    query: str
    """The words that were searched."""
    provider: str
    """Who answered."""
    page: int
    """Which page of results this is, from 1."""
    hits: list[Hit]
    """Results, best first; none when nothing matches."""
    failed: list[str]
    """What went wrong with providers asked before this one."""


@dataclass(frozen=True)
class Searcher:
    """Searches with the first provider that answers."""

    providers: Sequence[Provider]
    cache: Cache[SearchResults]

    async def search(self, question: Question) -> SearchResults:
        """Return the first answer; a provider that fails leaves its reason in `failed`.

        Raises:
            RefusalError: All failed; each reason is named.
        """
        known = self.cache.get(question)
        if known is not None:
            return known
        failed: list[str] = []
        for provider in self.providers:
            try:
                hits = await provider.search(question)
            except RefusalError as error:
                failed.append(f"{provider.name}: {error}")
                continue
            found = SearchResults(
                query=question.text,
                provider=provider.name,
                page=question.page,
                hits=hits,
                failed=failed,
            )
            self.cache.put(question, found, size=sum(len(h.snippet) + 300 for h in hits))
            return found
        raise RefusalError("No search provider answered. " + " ".join(failed))


def create_providers(settings: Settings, client: httpx.AsyncClient) -> list[Provider]:
    """Return the providers that `settings` name.

    Raises:
        SettingsError: One of them lacks its key or address.
    """
    return [_create_provider(name, settings, client) for name in settings.providers]


def _create_provider(name: ProviderName, settings: Settings, client: httpx.AsyncClient) -> Provider:
    timeout = settings.timeout_seconds
    if name == "duckduckgo":
        return DuckDuckGo(settings.duckduckgo_url, timeout)
    if name == "brave" and settings.brave_key:
        token = {"X-Subscription-Token": settings.brave_key.get_secret_value()}
        return Brave(Service("Brave", client, timeout, headers=token), settings.brave_url)
    if name == "tavily" and settings.tavily_key:
        service = Service("Tavily", client, timeout, headers=bearer(settings.tavily_key))
        return Tavily(service, settings.tavily_url)
    if name == "searxng" and settings.searxng_url:
        return Searxng(Service("SearXNG", client, timeout), settings.searxng_url)
    needed = {"searxng": "searxng_url"}.get(name, f"{name}_key")
    raise SettingsError(f"{needed}: the provider {name} needs it.")
