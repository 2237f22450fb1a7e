"""Where Ollama is, and which models it has."""

from typing import Any

import httpx2

SECONDS = 1.0
"""How long it may take to answer."""


def api_address(base_url: str, method: str) -> str:
    """Return the address of a method of Ollama's own interface.

    Args:
        base_url: Ollama's address; that of its OpenAI-like interface, `…/v1`, will do.
        method: Its name, such as `chat`.
    """
    return f"{base_url.rstrip('/').removesuffix('/v1').removesuffix('/api')}/api/{method}"


async def first_ollama_model(base_url: str) -> str | None:
    """Return the model that Ollama has used last; None if it does not answer or has none.

    Args:
        base_url: Its address.
    """
    try:
        async with httpx2.AsyncClient(timeout=SECONDS) as client:
            answer: Any = (
                (await client.get(api_address(base_url, "tags"))).raise_for_status().json()
            )
        return str(answer["models"][0]["name"])
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError):
        return None
