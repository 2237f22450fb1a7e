"""Many tools for few tokens: a client that searches is shown two tools instead of hundreds."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from host.config.settings import ClientConfig
from host.domain.jsonrpc import INVALID_PARAMS, Json, RpcError
from host.domain.protocol import object_member
from host.gateway.catalog import Catalog, Entry, wire_list
from host.gateway.exchange import Exchange

SEARCH_TOOL, CALL_TOOL = "search_tools", "call_tool"
CODE_TOOLS = ("host__run_code", "host__tool_stubs")
"""What a client that writes programs is shown, see `host.plugins.code_mode`."""
MOST_RESULTS = 20
SHOWN = ("name", "description", "inputSchema")
"""What a search result tells of a tool."""
FIELD_WEIGHTS = {"name": 3.0, "title": 2.0, "description": 1.0, "parameters": 0.5}
"""How much a word counts by where it stands."""
SATURATION, LENGTH_EFFECT = 1.2, 0.75
"""k1 and b of BM25 (Robertson and Zaragoza 2009), at their customary values."""

_WORD = re.compile(r"[a-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_READ_ONLY = {"readOnlyHint": True, "openWorldHint": False}
DEFINITIONS: list[Json] = [
    {
        "name": SEARCH_TOOL,
        "title": "Search tools",
        "description": "Find tools by what they do. Returns their names, descriptions and input "
        f"schemas; run one of them with {CALL_TOOL}.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "A few words, such as 'create issue'."},
                "limit": {"type": "integer", "minimum": 1, "maximum": MOST_RESULTS, "default": 5},
            },
            "required": ["query"],
            "additionalProperties": False,
        },
        "annotations": _READ_ONLY,
    },
    {
        "name": CALL_TOOL,
        "title": "Call a tool",
        "description": f"Run a tool that {SEARCH_TOOL} found.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": f"Its name, as {SEARCH_TOOL} gave it."},
                "arguments": {"type": "object", "description": "What its input schema asks for."},
            },
            "required": ["name"],
            "additionalProperties": False,
        },
    },
]


@dataclass(frozen=True, slots=True)
class Redirect:
    """What becomes of a call in search mode: an answer, or the call of another tool."""

    answer: Json | None = None
    params: Json = field(default_factory=dict[str, Any])


class Finder:
    """Search mode, per client.

    Args:
        clients: What each client is shown, by the name of its credential.
    """

    def __init__(self, clients: Mapping[str, ClientConfig]) -> None:
        self._clients = clients

    def searches(self, exchange: Exchange) -> bool:
        """Whether the client of a request is shown the search tools instead of the catalog."""
        client = self._clients.get(exchange.session.principal.client)
        return client is not None and client.expose == "search"

    def narrows(self, exchange: Exchange) -> bool:
        """Whether the client of a request is shown another list than the catalog."""
        client = self._clients.get(exchange.session.principal.client)
        return client is not None and client.expose != "all"

    async def listed(self, catalog: Catalog, exchange: Exchange) -> Json:
        """Return the tool list of a client that searches, or writes programs."""
        client = self._clients[exchange.session.principal.client]
        patterns = client.tools if client.expose == "search" else (*client.tools, *CODE_TOOLS)
        offer = await catalog.offer(exchange, "tools/list")
        chosen = [e for e in offer.entries if any(fnmatchcase(e.name, p) for p in patterns)]
        result = wire_list("tools/list", type(offer)(chosen))
        if client.expose == "search":
            result["tools"] = [*result["tools"], *DEFINITIONS]
        return result

    async def take(self, catalog: Catalog, exchange: Exchange, params: Json) -> Redirect:
        """Serve the search tools; any other call passes as it is.

        Raises:
            RpcError: The arguments of a search tool are wrong.
        """
        arguments = object_member(params, "arguments")
        if params.get("name") == SEARCH_TOOL:
            return Redirect(answer=await self._search(catalog, exchange, arguments))
        if params.get("name") != CALL_TOOL:
            return Redirect(params=params)
        inner = arguments.get("name")
        if not isinstance(inner, str) or inner in (CALL_TOOL, SEARCH_TOOL):
            raise RpcError(INVALID_PARAMS, f"name has to be a tool that {SEARCH_TOOL} found.")
        body = {key: value for key, value in params.items() if key not in ("name", "arguments")}
        return Redirect(params={**body, "name": inner, "arguments": arguments.get("arguments", {})})

    async def _search(self, catalog: Catalog, exchange: Exchange, arguments: Json) -> Json:
        query, limit = arguments.get("query"), arguments.get("limit", 5)
        if not isinstance(query, str) or not query.strip():
            raise RpcError(INVALID_PARAMS, "query is missing: what should the tool do?")
        if not isinstance(limit, int) or not 1 <= limit <= MOST_RESULTS:
            raise RpcError(INVALID_PARAMS, f"limit is a number from 1 to {MOST_RESULTS}.")
        offer = await catalog.offer(exchange, "tools/list")
        found = rank(query, offer.entries)[:limit]
        tools = [
            {
                k: v
                for k, v in entry.definition.items()
                if k in ("name", "description", "inputSchema")
            }
            for entry in found
        ]
        body: Json = {"tools": tools, "searched": len(offer.entries)}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return {"content": [{"type": "text", "text": text}], "structuredContent": body}


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case, with plural endings and camel humps undone."""
    spaced = _HUMP.sub(" ", text).lower()
    return [
        word[:-1] if len(word) > 3 and word.endswith("s") else word
        for word in _WORD.findall(spaced)
    ]


def rank(query: str, entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that share a word with the query, best first (BM25, weighted fields)."""
    wanted = set(words(query))
    documents = [(entry, _document(entry.definition)) for entry in entries]
    if not documents or not wanted:
        return []
    lengths = [sum(document.values()) for _, document in documents]
    average = sum(lengths) / len(lengths) or 1.0
    frequency = {
        word: sum(1 for _, document in documents if matching(document, word)) for word in wanted
    }
    scored: list[tuple[float, int, Entry]] = []
    for index, (entry, document) in enumerate(documents):
        score = 0.0
        norm = SATURATION * (1 - LENGTH_EFFECT + LENGTH_EFFECT * lengths[index] / average)
        for word in wanted:
            weight = matching(document, word)
            if weight:
                rarity = math.log(
                    1 + (len(documents) - frequency[word] + 0.5) / (frequency[word] + 0.5)
                )
                score += rarity * weight * (SATURATION + 1) / (weight + norm)
        if score > 0:
            scored.append((-score, index, entry))
    return [entry for _, _, entry in sorted(scored, key=lambda row: row[:2])]


def matching(document: Counter[str], word: str) -> float:
    """Return how much a word counts in a document; a longer one that begins with it counts half."""
    exact = float(document.get(word, 0.0))
    if exact or len(word) < 4:
        return exact
    return 0.5 * sum(weight for other, weight in document.items() if other.startswith(word))


def _document(definition: Json) -> Counter[str]:
    schema = object_member(definition, "inputSchema")
    properties = object_member(schema, "properties")
    described = [str(object_member(properties, name).get("description", "")) for name in properties]
    texts = {
        "name": str(definition.get("name", "")),
        "title": str(definition.get("title", "")),
        "description": str(definition.get("description", "")),
        "parameters": " ".join([*properties, *described]),
    }
    document: Counter[str] = Counter()
    for part, text in texts.items():
        for word in words(text):
            document[word] += FIELD_WEIGHTS[part]  # pyright: ignore[reportArgumentType]
    return document
