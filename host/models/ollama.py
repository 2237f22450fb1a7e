"""Asks Ollama on this machine which models it has."""

from typing import Any

import httpx2

SECONDS = 1.0
"""How long it may take to answer."""


async def first_ollama_model(base_url: str) -> str | None:
    """Return the model that Ollama has used last; None if it does not answer or has none.

    Args:
        base_url: Its address, as for OpenAI's format.
    """
    address = f"{base_url.removesuffix('/v1')}/api/tags"
    try:
        async with httpx2.AsyncClient(timeout=SECONDS) as client:
            answer: Any = (await client.get(address)).raise_for_status().json()
        return str(answer["models"][0]["name"])
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError):
        return None
