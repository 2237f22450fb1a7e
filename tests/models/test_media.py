"""Pictures, sound and documents: into every format that has them, out again, and said where not."""

import base64
import io
import json
import re
import wave
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters

from host.agents.transcript import dump_response, load_response
from host.domain.errors import ModelError
from host.models.client import render_sampling
from host.models.endpoint import estimate_tokens
from host.models.models import Models
from host.models.route import RoutedModel
from tests.fakes.model_provider import ModelProvider
from tests.fakes.model_wire import Answer
from tests.models.conftest import Clock, make_models
from tests.models.test_wire import KINDS, WITH_TOOL

pytestmark = pytest.mark.anyio

CONTENT = b"\x89PNG the content of a file, long enough to be found"
PNG, WAV, PDF = "image/png", "audio/wav", "application/pdf"
NOTHING = ModelRequestParameters()
TAKEN: dict[str, set[str]] = {
    "anthropic:claude-haiku-4-5": {PNG, PDF},
    "openai:gpt-4.1": {PNG, PDF},
    "openai-chat:gpt-4.1": {PNG, PDF},
    "openai-chat:gpt-4o-audio-preview": {PNG, WAV, PDF},
    "azure:gpt-4.1": {PNG, WAV},
    "google:gemini-2.5-flash": {PNG, WAV, PDF},
    "ollama:qwen3": {PNG},
    "xai:grok-3": {PNG},
    "deepseek:deepseek-chat": set(),
    "mistral:mistral-small-latest": {PNG},
    "openrouter:meta-llama/llama-3.3-70b": {PNG, WAV, PDF},
    "vllm:own": {PNG, WAV},
    "work:own": {PNG, WAV, PDF},
}
"""What each provider's format has a block for; the table of docs/models.md says the same."""


async def ask(model: RoutedModel, *content: str | BinaryContent, streamed: bool) -> ModelResponse:
    talk = [ModelRequest([UserPromptPart([*content])])]
    if not streamed:
        return await model.request([*talk], None, NOTHING)
    return await model.ask([*talk], NOTHING)


@pytest.mark.parametrize("media_type", [PNG, WAV, PDF])
@pytest.mark.parametrize("name", TAKEN)
async def test_file_is_sent_whole_or_refused_by_name(
    name: str, media_type: str, models: Models, vendor: ModelProvider
) -> None:
    file = BinaryContent(CONTENT, media_type=media_type)
    model = models.resolve(name)
    if media_type in TAKEN[name]:
        await ask(model, "What is it?", file, streamed=False)
        await ask(model, "What is it?", file, streamed=True)
        written = [
            json.dumps(asked.body).replace("-", "+").replace("_", "/") for asked in vendor.asked
        ]
        assert [base64.b64encode(CONTENT).decode() in body for body in written] == [True, True]
    else:
        with pytest.raises(ModelError, match=f"{name} takes no {media_type} files") as caught:
            await ask(model, "What is it?", file, streamed=False)
        assert caught.value.fault == "rejected"
        assert vendor.asked == []


def looked(*content: str | BinaryContent) -> list[ModelMessage]:
    """Return a conversation in which a tool gave something back."""
    return [
        ModelRequest([UserPromptPart("What is it?")]),
        ModelResponse([ToolCallPart("look", {"at": "x"}, "call_7")]),
        ModelRequest([ToolReturnPart("look", [*content], tool_call_id="call_7")]),
    ]


@pytest.mark.parametrize("media_type", [PNG, WAV, PDF])
@pytest.mark.parametrize("name", TAKEN)
async def test_file_that_a_tool_gave_is_sent_whole_or_said_to_be_missing(
    name: str, media_type: str, models: Models, vendor: ModelProvider
) -> None:
    file = BinaryContent(CONTENT, media_type=media_type)
    reply = await models.resolve(name).request(looked("Here it is.", file), None, WITH_TOOL)
    body, notes = json.dumps(vendor.asked[0].body), (reply.metadata or {})["notes"]
    assert "Here it is." in body
    if media_type in TAKEN[name]:
        plain = body.replace("-", "+").replace("_", "/")
        assert base64.b64encode(CONTENT).decode() in plain
        assert notes == []
    else:
        assert f"this model takes no {media_type} files" in body
        assert notes == [f"{name} takes no {media_type} files; those that tools gave are not sent."]


async def test_file_that_a_tool_gave_reaches_the_client_that_samples() -> None:
    picture = BinaryContent(CONTENT, media_type=PNG)
    asked = render_sampling(looked("Here it is.", picture), {}, NOTHING)
    assert asked["messages"][-1]["content"]["content"] == [
        {"type": "text", "text": "Here it is."},
        {"type": "image", "data": base64.b64encode(CONTENT).decode(), "mimeType": PNG},
    ]


async def test_file_counts_as_what_reading_it_costs_and_not_as_its_bytes() -> None:
    picture = BinaryContent(bytes(3_000_000), media_type=PNG)
    asked: list[ModelMessage] = [ModelRequest([UserPromptPart(["What is it?", picture])])]
    assert estimate_tokens(asked) < 2_000
    assert estimate_tokens(looked("Here it is.", picture)) < 2_000


@pytest.mark.parametrize("name", TAKEN)
async def test_document_of_text_reaches_every_provider(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    file = BinaryContent(b"the text of a document", media_type="text/plain")
    await ask(models.resolve(name), "What is it?", file, streamed=False)
    body = str(vendor.asked[0].body)
    encoded = base64.b64encode(b"the text of a document").decode()
    assert "the text of a document" in body or encoded in body


ALIASES = {
    "audio/x-wav": "audio/wav", "audio/wave": "audio/wav", "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg", "audio/x-mp3": "audio/mpeg", "Audio/WAV": "audio/wav",
    "image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png",
    "IMAGE/PNG; charset=binary": "image/png", "application/x-pdf": "application/pdf",
}  # fmt: skip
STRANGE = (
    "image/bmp", "image/tiff", "image/svg+xml", "image/heic", "image/", "audio/ogg", "audio/flac",
    "audio/midi", "video/mp4", "video/x-nothing", "application/zip", "application/octet-stream",
    "application/vnd.ms-excel", "application/x-yaml", "text/csv", "text/x-python", "", "nothing",
)  # fmt: skip
HEARING = "openai-chat:gpt-4o-audio-preview"


@pytest.mark.parametrize("name", [*KINDS, HEARING, "work:own", "client"])
async def test_file_of_any_type_is_sent_or_refused_and_no_defect(
    name: str, models: Models, vendor: ModelProvider
) -> None:
    async def sampled(params: dict[str, Any]) -> dict[str, Any]:
        return {"content": {"type": "text", "text": "Hello there."}}

    model = models.resolve(name, sampler=sampled)
    for media_type in (*ALIASES, *STRANGE):
        file = BinaryContent(CONTENT, media_type=media_type)
        given: list[ModelMessage] = [ModelRequest([UserPromptPart(["", file])])]
        for talk in (looked("Here it is.", file), given):
            try:
                said = (await model.request(talk, None, NOTHING)).text
            except ModelError as error:
                said = f"{error.fault} {error}"
            assert said == "Hello there." or re.match("rejected .* takes no .* files", said or "")


async def test_other_names_of_a_type_are_as_good(models: Models, vendor: ModelProvider) -> None:
    for media_type, known in ALIASES.items():
        file = BinaryContent(CONTENT, media_type=media_type)
        await ask(models.resolve(HEARING), "What is it?", file, streamed=False)
        other = vendor.asked.pop().body
        plain = BinaryContent(CONTENT, media_type=known)
        await ask(models.resolve(HEARING), "What is it?", plain, streamed=False)
        assert other == vendor.asked.pop().body


async def test_sound_that_the_chat_format_has_no_word_for_is_refused(models: Models) -> None:
    sound = BinaryContent(b"OggS", media_type="audio/ogg")
    with pytest.raises(ModelError, match="takes no audio/ogg files"):
        await ask(models.resolve("openai-chat:gpt-4.1"), sound, streamed=False)


async def test_route_asks_the_model_that_takes_the_file(
    tmp_path: Path, clock: Clock, vendor: ModelProvider
) -> None:
    names = ["anthropic:claude-haiku-4-5", "google:gemini-2.5-flash"]
    models = make_models(tmp_path, vendor.url, clock, routes={"main": {"models": names}})
    sound = BinaryContent(CONTENT, media_type=WAV)
    reply = await ask(models.resolve("main"), "What is it?", sound, streamed=True)
    assert (reply.metadata or {})["model"] == names[1]
    await models.aclose()


async def test_model_said_to_be_blind_is_shown_no_picture(
    tmp_path: Path, clock: Clock, vendor: ModelProvider
) -> None:
    blind = {"text": {"model": "work:own", "vision": False}}
    models = make_models(tmp_path, vendor.url, clock, models=blind)
    with pytest.raises(ModelError, match="work:own takes no image/png files"):
        await ask(models.resolve("text"), BinaryContent(CONTENT, media_type=PNG), streamed=False)


def files_of(reply: ModelResponse) -> list[tuple[str, bytes]]:
    found = [part.content for part in reply.parts if isinstance(part, FilePart)]
    return [(content.media_type, content.data) for content in found]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("google:gemini-2.5-flash-image", PNG),
        ("google:gemini-2.5-flash", WAV),
        ("openai:gpt-5", PNG),
        ("openrouter:google/gemini-2.5-flash-image", PNG),
    ],
)
async def test_file_that_a_model_makes_comes_out_and_survives_the_record(
    name: str, media_type: str, streamed: bool, models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="Here.", files=((media_type, CONTENT),)))
    reply = await ask(models.resolve(name), "Make one.", streamed=streamed)
    assert reply.text == "Here."
    assert files_of(reply) == [(media_type, CONTENT)]
    assert files_of(load_response(dump_response(reply))) == [(media_type, CONTENT)]


async def test_spoken_reply_of_the_chat_format_has_its_sound_and_its_words(
    models: Models, vendor: ModelProvider
) -> None:
    sound = b"RIFF\x00\x00\x00\x00WAVE"
    vendor.will(Answer(text="Hello.", files=((WAV, sound),)))
    reply = await ask(models.resolve("openai-chat:gpt-4o-audio-preview"), "Hi", streamed=False)
    assert (reply.text, files_of(reply)) == ("Hello.", [(WAV, sound)])


async def test_sound_that_is_streamed_becomes_one_file_that_plays(
    models: Models, vendor: ModelProvider
) -> None:
    vendor.will(Answer(text="Hello.", files=((WAV, b"\x01\x00\x02\x00\x03\x00"),)))
    reply = await ask(models.resolve("openai-chat:gpt-4o-audio-preview"), "Hi", streamed=True)
    assert reply.text == "Hello."
    [(media_type, content)] = files_of(reply)
    with wave.open(io.BytesIO(content)) as heard:
        assert (media_type, heard.getframerate(), heard.readframes(9)) == (
            WAV,
            24_000,
            b"\x01\x00\x02\x00\x03\x00",
        )


@pytest.mark.parametrize("streamed", [False, True])
async def test_scripted_model_gives_the_files_of_its_script(tmp_path: Path, streamed: bool) -> None:
    data = base64.b64encode(CONTENT).decode()
    script = {"turns": [{"reply": "Here.", "files": [{"media_type": PNG, "data": data}]}]}
    (tmp_path / "s.json").write_text(json.dumps(script))
    models = make_models(tmp_path, "http://127.0.0.1:9", Clock())
    reply = await ask(models.resolve(f"scripted:{tmp_path / 's.json'}"), "Hi", streamed=streamed)
    assert files_of(reply) == [(PNG, CONTENT)]
