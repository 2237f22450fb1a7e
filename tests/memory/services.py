"""Local servers that answer as the documented embedding services do, or as they fail."""

import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SIZE = 8
Answer = Callable[[dict[str, Any]], Response]


def vector(text: str) -> list[float]:
    """Return a vector that tells which text it is of."""
    return [float(len(text)), float(sum(map(ord, text)) % 97), *[1.0] * (SIZE - 2)]


class Services:
    """OpenAI's, Ollama's and Gemini's endpoints in one application.

    Attributes:
        seen: Each request's path, headers and body.
        answer: Replaces the next answers, when set.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answer: Answer | None = None
        self.app = Starlette(
            routes=[
                Route("/v1/embeddings", self._serve(_openai), methods=["POST"]),
                Route("/api/embed", self._serve(_ollama), methods=["POST"]),
                Route("/v1beta/models/{call}", self._serve(_gemini), methods=["POST"]),
            ]
        )

    def _serve(self, usual: Answer) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            body = json.loads(await request.body())
            self.seen.append((request.url.path, dict(request.headers), body))
            return (self.answer or usual)(body)

        return serve


def _openai(body: dict[str, Any]) -> Response:
    rows = [
        {"object": "embedding", "index": n, "embedding": vector(text)}
        for n, text in enumerate(body["input"])
    ]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    rows.reverse()  # the order is that of `index`, not of the list
    return JSONResponse({"object": "list", "data": rows, "model": body["model"], "usage": usage})


def _ollama(body: dict[str, Any]) -> Response:
    vectors = [vector(text) for text in body["input"]]
    return JSONResponse({"model": body["model"], "embeddings": vectors, "total_duration": 14143917})


def _gemini(body: dict[str, Any]) -> Response:
    texts = [one["content"]["parts"][0]["text"] for one in body["requests"]]
    return JSONResponse({"embeddings": [{"values": vector(text)} for text in texts]})
