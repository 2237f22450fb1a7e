"""Turns texts into vectors: the protocol, and the services and packages that can do it."""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, cast

from anyio import to_thread
from typing_extensions import override

from host.domain.errors import EmbedderError
from host.memory.config import (
    EmbedderConfig,
    GeminiEmbedderConfig,
    LocalEmbedderConfig,
    OllamaEmbedderConfig,
    OpenAIEmbedderConfig,
)

Purpose = Literal["record", "query"]
"""What a text is: some models embed what is searched and what is searched for differently."""
Vector = list[float]


class Embedder(Protocol):
    """Turns texts into vectors of one size."""

    @property
    def name(self) -> str:
        """The model and everything that changes its vectors; another name, other vectors."""
        ...

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """Return one vector for each text.

        Raises:
            EmbedderError: The service or the package failed.
        """
        ...


def create_embedder(config: EmbedderConfig) -> Embedder:
    """Return the embedder that a configuration describes; nothing is loaded or asked yet."""
    match config:
        case OpenAIEmbedderConfig():
            return OpenAIEmbedder(config)
        case OllamaEmbedderConfig():
            return OllamaEmbedder(config)
        case GeminiEmbedderConfig():
            return GeminiEmbedder(config)
        case LocalEmbedderConfig():
            return LocalEmbedder(config)


class OpenAIEmbedder:
    """An endpoint that speaks OpenAI's `/embeddings`."""

    def __init__(self, config: OpenAIEmbedderConfig) -> None:
        self._config = config
        self.name = f"openai:{config.url}:{config.model}:{config.dimensions or ''}"

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """Return one vector for each text."""
        config = self._config
        body: dict[str, Any] = {"model": config.model, "input": list(texts)}
        if config.dimensions is not None:
            body["dimensions"] = config.dimensions
        headers: dict[str, str] = {}
        if config.key is not None:
            headers["Authorization"] = f"Bearer {config.key.get_secret_value()}"
        answer = await _post(f"{config.url.rstrip('/')}/embeddings", body, headers)
        return _checked(
            lambda: [row["embedding"] for row in sorted(answer["data"], key=_index)],
            len(texts),
            self.name,
        )


class OllamaEmbedder:
    """Ollama's `/api/embed`."""

    def __init__(self, config: OllamaEmbedderConfig) -> None:
        self._config = config
        self.name = f"ollama:{config.model}"

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """Return one vector for each text."""
        body = {"model": self._config.model, "input": list(texts)}
        answer = await _post(f"{self._config.url.rstrip('/')}/api/embed", body, {})
        return _checked(lambda: answer["embeddings"], len(texts), self.name)


class GeminiEmbedder:
    """Gemini's `batchEmbedContents`."""

    def __init__(self, config: GeminiEmbedderConfig) -> None:
        self._config = config
        self.name = f"gemini:{config.model}:{config.dimensions or ''}"

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """Return one vector for each text."""
        config = self._config
        task = "RETRIEVAL_QUERY" if purpose == "query" else "RETRIEVAL_DOCUMENT"
        extra = {} if config.dimensions is None else {"outputDimensionality": config.dimensions}
        requests = [
            {
                "model": f"models/{config.model}",
                "content": {"parts": [{"text": text}]},
                "taskType": task,
                **extra,
            }
            for text in texts
        ]
        url = f"{config.url.rstrip('/')}/models/{config.model}:batchEmbedContents"
        headers = {"x-goog-api-key": config.key.get_secret_value()}
        answer = await _post(url, {"requests": requests}, headers)
        return _checked(
            lambda: [row["values"] for row in answer["embeddings"]], len(texts), self.name
        )


class LocalEmbedder:
    """A model in this process, by `fastembed` or `sentence-transformers`."""

    def __init__(self, config: LocalEmbedderConfig) -> None:
        self._config = config
        self._encode: Callable[[list[str], Purpose], list[Vector]] | None = None
        self.name = f"{config.type}:{config.model}"

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """Return one vector for each text, computed in a thread."""
        return await to_thread.run_sync(self._embed, list(texts), purpose)

    def _embed(self, texts: list[str], purpose: Purpose) -> list[Vector]:
        if self._encode is None:
            self._encode = self._load()
        return self._encode(texts, purpose)

    def _load(self) -> Callable[[list[str], Purpose], list[Vector]]:
        package, model = self._config.type, self._config.model
        module = package.replace("-", "_")
        if importlib.util.find_spec(module) is None:
            raise EmbedderError(
                f"The embedder {self.name!r} needs {package!r}, which is not installed.",
                next_step=f"Install it (`pip install {package}`), or set another embedder.",
            )
        loaded = importlib.import_module(module)
        try:
            if package == "fastembed":
                return _fastembed(loaded.TextEmbedding(model))
            return _sentence_transformers(loaded.SentenceTransformer(model))
        except (OSError, ValueError, RuntimeError) as error:
            raise EmbedderError(
                f"The model {model!r} could not be loaded by {package}: {error}",
                next_step="Name a model that is on this machine, or let it be fetched once.",
            ) from error


def _fastembed(model: Any) -> Callable[[list[str], Purpose], list[Vector]]:  # noqa: ANN401 - optional package
    def encode(texts: list[str], purpose: Purpose) -> list[Vector]:
        run = model.query_embed if purpose == "query" else model.passage_embed
        return [vector.tolist() for vector in run(texts)]

    return encode


def _sentence_transformers(model: Any) -> Callable[[list[str], Purpose], list[Vector]]:  # noqa: ANN401 - optional package
    def encode(texts: list[str], purpose: Purpose) -> list[Vector]:
        own = getattr(
            model, f"encode_{'query' if purpose == 'query' else 'document'}", model.encode
        )
        return cast("list[Vector]", own(texts).tolist())

    return encode


class TruncatingEmbedder:
    """Another embedder whose texts are cut, since services refuse texts beyond their window.

    Args:
        inner: The embedder.
        chars: Longest text, in characters.
    """

    def __init__(self, inner: Embedder, chars: int = 8000) -> None:
        self._inner = inner
        self._chars = chars

    @property
    def name(self) -> str:
        """The other embedder's name."""
        return self._inner.name

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """Return the vectors of the texts' beginnings."""
        return await self._inner.embed([text[: self._chars] for text in texts], purpose)

    @override
    def __repr__(self) -> str:
        return f"TruncatingEmbedder({self._inner!r})"


async def _post(url: str, body: dict[str, Any], headers: dict[str, str]) -> Any:  # noqa: ANN401 - any JSON
    import httpx  # noqa: PLC0415 - only embedders elsewhere need it, and it loads slowly

    try:
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(url, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        hint = "Check its key." if status in (401, 403) else "Check its model and address."
        raise EmbedderError(
            f"The embedder at {url} answered {status}: {error.response.text[:200]}",
            next_step="It is tried again." if status in (429, 500, 502, 503) else hint,
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EmbedderError(
            f"The embedder at {url} cannot be reached: {error or type(error).__name__}.",
            next_step="Check that it runs and that the address is right.",
        ) from error
    except ValueError as error:
        raise EmbedderError(f"The embedder at {url} did not answer with JSON.") from error


def _index(row: dict[str, Any]) -> int:
    return int(row.get("index", 0))


def _checked(read: Callable[[], Any], count: int, name: str) -> list[Vector]:
    """Return an answer's vectors if they are what they should be."""
    try:
        vectors = [[float(number) for number in vector] for vector in read()]
    except (KeyError, TypeError, ValueError) as error:
        raise EmbedderError(f"The embedder {name!r} answered in an unknown form.") from error
    sizes = {len(vector) for vector in vectors}
    if len(vectors) != count or len(sizes) != 1 or 0 in sizes:
        raise EmbedderError(
            f"The embedder {name!r} answered with {len(vectors)} vectors of sizes"
            f" {sorted(sizes)} for {count} texts."
        )
    return vectors
