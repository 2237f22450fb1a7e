"""A provider's model with its key and its connections, which are kept between runs."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import httpx2
from pydantic_ai.models import Model

from host.models.endpoint import Headers
from host.models.headers import watch_headers
from host.models.name import ModelName
from host.models.provider import Provider, build_model
from host.models.sent import watch_request
from host.models.settings import DEFAULT_TIMEOUT

CONNECT_SECONDS = 10.0
"""How long a provider may take to accept a connection."""


@dataclass(frozen=True, slots=True)
class ReadyModel:
    """What is kept of a model, as long as its provider and its key stay the same.

    Attributes:
        secret: The key that it sends; empty where it has none.
        headers: What its HTTP client saw.
    """

    provider: Provider
    secret: str = field(repr=False)
    client: httpx2.AsyncClient
    model: Model[Any]
    headers: Headers

    @property
    def bucket(self) -> str:
        """Part of its rate bucket's name: a digest of the key."""
        return hashlib.sha256(self.secret.encode()).hexdigest()[:12]


def make_ready(provider: Provider, name: ModelName, secret: str | None) -> ReadyModel:
    """Return a model that can be asked; nothing is connected yet."""
    headers = Headers()
    client = httpx2.AsyncClient(
        timeout=httpx2.Timeout(DEFAULT_TIMEOUT, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
        follow_redirects=False,  # a key is not carried elsewhere
        event_hooks={"request": [watch_request], "response": [watch_headers(headers)]},
    )
    model = build_model(provider, name.name, key=secret, client=client)
    return ReadyModel(provider, secret or "", client, model, headers)
