from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from host.domain.errors import EmbedderError
from host.memory.config import (
    GeminiEmbedderConfig,
    LocalEmbedderConfig,
    MemoryConfig,
    OllamaEmbedderConfig,
    OpenAIEmbedderConfig,
)
from host.memory.embedder import Embedder, TruncatingEmbedder, create_embedder
from host.memory.record import Draft
from tests.fakes.web import serve_web
from tests.memory.people import WordEmbedder, open_memories, texts
from tests.memory.services import Services, vector

pytestmark = pytest.mark.anyio
TEXTS = ["one", "three", "seventeen"]


def openai(url: str, **more: Any) -> Embedder:
    return create_embedder(
        OpenAIEmbedderConfig(type="openai", url=f"{url}/v1/", model="small", **more)
    )


async def test_openai_and_what_speaks_like_it_give_vectors_in_the_order_of_the_texts():
    services = Services()
    async with serve_web(services.app) as url:
        found = await openai(url, key="k-1", dimensions=8).embed(TEXTS, "record")
        await openai(url).embed(["x"], "query")

    assert found == [vector(text) for text in TEXTS]
    (path, headers, body), (_, plain, _) = services.seen
    assert (path, headers["authorization"]) == ("/v1/embeddings", "Bearer k-1")
    assert body == {"model": "small", "input": TEXTS, "dimensions": 8}
    assert "authorization" not in plain


async def test_ollama_gives_vectors():
    services = Services()
    async with serve_web(services.app) as url:
        embedder = create_embedder(OllamaEmbedderConfig(type="ollama", url=url, model="nomic"))
        assert await embedder.embed(TEXTS, "record") == [vector(text) for text in TEXTS]
    assert services.seen[0][2] == {"model": "nomic", "input": TEXTS}


async def test_gemini_is_told_whether_a_text_is_a_record_or_a_query():
    services = Services()
    async with serve_web(services.app) as url:
        config = GeminiEmbedderConfig(type="gemini", url=f"{url}/v1beta", key="k-2", model="g")  # type: ignore[arg-type] - pydantic makes it secret
        embedder = create_embedder(config)
        assert await embedder.embed(TEXTS, "record") == [vector(text) for text in TEXTS]
        await embedder.embed(["x"], "query")

    (path, headers, body), (_, _, query) = services.seen
    assert (path, headers["x-goog-api-key"]) == ("/v1beta/models/g:batchEmbedContents", "k-2")
    assert body["requests"][0] == {
        "model": "models/g",
        "content": {"parts": [{"text": "one"}]},
        "taskType": "RETRIEVAL_DOCUMENT",
        "outputDimensionality": 768,
    }
    assert query["requests"][0]["taskType"] == "RETRIEVAL_QUERY"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (JSONResponse({"error": {"message": "bad key"}}, 401), "answered 401.*bad key.*key"),
        (JSONResponse({"error": "slow down"}, 429), "answered 429.*tried again"),
        (PlainTextResponse("oops", 500), "answered 500"),
        (PlainTextResponse("<html>"), "did not answer with JSON"),
        (JSONResponse({"data": []}), "0 vectors"),
        (JSONResponse({"rows": []}), "unknown form"),
        (JSONResponse([1]), "unknown form"),
        (JSONResponse({"data": [{"embedding": [1, 2]}, {"embedding": [1]}]}), "sizes"),
        (JSONResponse({"data": [{"embedding": ["a"]}]}), "unknown form"),
        (JSONResponse({"data": [{"embedding": []}]}), "1 vectors of sizes"),
    ],
)
async def test_an_answer_that_is_no_vectors_is_an_error_that_names_the_embedder(
    answer: Response, said: str
):
    services = Services()
    services.answer = lambda _body: answer
    async with serve_web(services.app) as url:
        with pytest.raises(EmbedderError, match=said):
            await openai(url).embed(["a"], "record")


async def test_an_embedder_out_of_reach_or_not_installed_is_said():
    with pytest.raises(EmbedderError, match="cannot be reached"):
        await openai("http://127.0.0.1:1").embed(["a"], "record")
    missing = create_embedder(LocalEmbedderConfig(type="fastembed", model="none"))
    with pytest.raises(EmbedderError, match="pip install fastembed"):
        await missing.embed(["a"], "record")


async def test_long_texts_are_cut_for_the_embedder():
    words = WordEmbedder()
    await TruncatingEmbedder(words, chars=4).embed(["abcdefgh"], "record")
    assert words.asked == ["abcd"]


async def test_a_configured_embedder_is_used_for_records_and_queries(store_folder: Path):
    services = Services()
    async with serve_web(services.app) as url:
        config = MemoryConfig(
            embedder=OpenAIEmbedderConfig(type="openai", url=f"{url}/v1", model="small")
        )
        async with open_memories(store_folder, "ann", config=config) as (memory,):
            await memory.remember(Draft("The heron waits."))
            found = await memory.search("patient bird")
    assert (texts(found.hits), found.ways) == (["The heron waits."], ("lexical", "vector"))


async def test_a_failing_embedder_loses_no_record_and_no_search(store_folder: Path):
    words = WordEmbedder()
    async with open_memories(store_folder, "ann", embedder=words) as (memory,):
        words.failure = EmbedderError("The embedder is away.")
        done = await memory.remember(Draft("The heron waits."))
        found = await memory.search("heron")
        assert "found by its words until then" in done.notes[0]
        assert (texts(found.hits), found.notes) == (["The heron waits."], ["The embedder is away."])

        words.failure = None
        assert (await memory.catch_up()).embedded == 1
        assert (await memory.stats()).missing == 0


async def test_another_embedder_embeds_everything_anew_and_tells_how_far_it_is(
    store_folder: Path,
):
    told: list[tuple[int, int]] = []

    async def note(done: int, total: int) -> None:
        told.append((done, total))

    async with open_memories(store_folder, "ann", embedder=WordEmbedder("first")) as (old,):
        await old.remember_many([Draft(f"thing {n} car") for n in range(150)])
        await old.catch_up()
        user = old.access.principal
        store = old.access.store
        new = type(old)(store, user, embedder=WordEmbedder("second", 384))
        assert (await new.search("automobile")).hits == []  # no vectors of the new one yet

        caught = await new.catch_up(note)

        assert (caught.embedded, caught.dropped) == (150, 150)
        assert told == [(64, 150), (128, 150), (150, 150)]
        assert len((await new.search("automobile")).hits) == 10
        assert (await new.catch_up()).embedded == 0


async def test_embedding_anew_goes_on_where_it_was_stopped(store_folder: Path):
    words = WordEmbedder("stopped")

    async def stop(done: int, total: int) -> None:
        words.failure = EmbedderError("Away again.")

    async with open_memories(store_folder, "ann", embedder=words) as (memory,):
        await memory.remember_many([Draft(f"thing {n}") for n in range(100)])
        with pytest.raises(EmbedderError, match="Away again"):
            await memory.catch_up(stop)
        assert (await memory.stats()).embedded == 64
        words.failure = None
        assert (await memory.catch_up()).embedded == 36
