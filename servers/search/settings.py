"""The settings of the search server."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from typing_extensions import override

from host.memory.config import EmbedderConfig
from servers.launch import Reach, ServerSettings
from servers.store_reach import embedder_reach, joined, prepare_store, store_reach

ProviderName = Literal["duckduckgo", "brave", "tavily", "searxng"]


class Settings(ServerSettings):
    """Serve web search and pages as Markdown to MCP clients."""

    providers: list[ProviderName] = Field(default=["duckduckgo"], min_length=1)
    """Who is asked, in order; the next one when one fails. DuckDuckGo needs no key."""
    brave_key: SecretStr | None = None
    """API key for `brave`."""
    tavily_key: SecretStr | None = None
    """API key for `tavily`."""
    searxng_url: str | None = None
    """Address of your SearXNG for `searxng`; its settings must allow `format: json`."""
    brave_url: str = "https://api.search.brave.com/res/v1/web/search"
    """Where Brave answers."""
    tavily_url: str = "https://api.tavily.com/search"
    """Where Tavily answers."""
    duckduckgo_url: str = "https://html.duckduckgo.com/html/"
    """Where DuckDuckGo answers."""
    safe_search: Literal["off", "moderate", "strict"] = "moderate"
    """How much the provider leaves out."""
    timeout_seconds: float = Field(default=30, gt=0)
    """Longest wait for one search, or for one page with its redirects."""
    cache_seconds: float = Field(default=900, ge=0)
    """How long results and pages are reused; 0 asks every time."""
    max_page_bytes: int = Field(default=10_000_000, gt=0)
    """Largest page or document that is read, before and after decompression."""
    max_text_chars: int = Field(default=2_000_000, gt=0)
    """Longest text kept of one page."""
    parse_seconds: float = Field(default=20, gt=0)
    """Longest time to parse one document in its process, which is then killed."""
    parse_bytes: int = Field(default=1_000_000_000, ge=200_000_000)
    """Most memory of that process, in bytes; enforced on Linux."""
    robots: Literal["obey", "ignore"] = "obey"
    """Whether a site's robots.txt is obeyed."""
    user_agent: str = "mcp-agent-host"
    """How fetches introduce themselves; robots.txt rules are chosen by its first word."""
    host_interval_seconds: float = Field(default=1.0, ge=0)
    """Least time between two requests to the same site."""
    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Private networks that fetch may reach nevertheless, such as 10.1.2.0/24."""
    documents: tuple[Path, ...] = ()
    """Folders that `search_documents` searches; without one it is not offered."""
    document_bytes: int = Field(default=50_000_000, gt=0)
    """Largest file that is indexed."""
    document_refresh_seconds: float = Field(default=60, ge=0)
    """How long a look at the folders counts as fresh; a later search looks again."""
    document_wait_seconds: float = Field(default=10, ge=0)
    """Longest that a search waits for that look; it goes on behind the answer, which says so."""
    embedder: EmbedderConfig | None = None
    """Who makes vectors of documents: `openai`, `ollama`, `gemini`, `fastembed`; None: words."""
    embed_seconds: float = Field(default=10, gt=0)
    """Longest wait for the vector of a query."""
    language: str = Field(default="english", pattern="^[a-z_]{1,63}$")
    """PostgreSQL text search configuration of documents: `simple` has no stems or stop words."""

    @override
    def reach(self) -> Reach:
        """The network; with documents their folders, the store, and the embedder's files."""
        if not self.documents:
            return Reach()
        stored = joined(store_reach(), embedder_reach(self.embedder))
        return joined(Reach(read=self.documents), stored)

    @override
    def prepare_confinement(self) -> None:
        """With documents, split off who starts PostgreSQL, which must not be confined with it."""
        if self.documents:
            prepare_store()
