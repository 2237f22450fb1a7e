"""OpenAI's chat format with the sound and pictures of its replies, which the adapter leaves out."""

import base64
import io
import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from openai.types import chat
from openai.types.chat import chat_completion_chunk
from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    TextPart,
)
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse
from typing_extensions import override

_RATE = 24_000
"""Samples a second of streamed sound, which comes as 16-bit PCM."""
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"RIFF", "audio/wav"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\xff", "audio/mpeg"),
)
"""How sound begins whose format the reply does not name."""


class ChatModel(OpenAIChatModel):
    """Keeps `message.audio` and `message.images` of a reply as files beside its text."""

    @override
    def _process_response(
        self,
        response: chat.ChatCompletion | str,
        *,
        include_raw_annotations: bool = False,
        include_unmapped_response_data: bool = False,
    ) -> ModelResponse:
        made = super()._process_response(
            response,
            include_raw_annotations=include_raw_annotations,
            include_unmapped_response_data=include_unmapped_response_data,
        )
        if isinstance(response, chat.ChatCompletion) and response.choices:
            made.parts = [*made.parts, *_parts(response.choices[0].message, made)]
        return made

    @property
    @override
    def _streamed_response_cls(self) -> type[OpenAIStreamedResponse]:
        return ChatStream


@dataclass
class ChatStream(OpenAIStreamedResponse):
    """The same as it comes in; sound is one file at the end."""

    _sound: bytearray = field(default_factory=bytearray, init=False)

    @override
    def _map_part_delta(
        self, choice: chat_completion_chunk.Choice
    ) -> Iterable[ModelResponseStreamEvent]:
        yield from super()._map_part_delta(choice)
        delta = choice.delta
        if delta.audio is not None:
            yield from self._take_sound(delta.audio)
        for number, content in enumerate(_pictures(delta)):
            yield self._parts_manager.handle_part(
                vendor_part_id=("image", number), part=FilePart(content)
            )
        if choice.finish_reason and self._sound:
            content = BinaryContent(_wave(bytes(self._sound)), media_type="audio/wav")
            yield self._parts_manager.handle_part(vendor_part_id="sound", part=FilePart(content))

    def _take_sound(
        self, audio: chat_completion_chunk.ChoiceDeltaAudio
    ) -> Iterator[ModelResponseStreamEvent]:
        if audio.data:
            self._sound += base64.b64decode(audio.data)
        if audio.transcript:
            yield from self._parts_manager.handle_text_delta(
                vendor_part_id="transcript", content=audio.transcript
            )


def _parts(message: chat.ChatCompletionMessage, made: ModelResponse) -> Iterator[ModelResponsePart]:
    if message.audio is not None:
        data = base64.b64decode(message.audio.data)
        if message.audio.transcript and not made.text:
            yield TextPart(message.audio.transcript)
        yield FilePart(BinaryContent(data, media_type=_type_of(data)))
    for content in _pictures(message):
        yield FilePart(content)


def _pictures(message: object) -> Iterator[BinaryContent]:
    images = getattr(message, "images", None)  # the SDK has no attribute for it
    for image in cast("list[Any]", images) if isinstance(images, list) else ():
        address = str(image["image_url"]["url"])
        if address.startswith("data:"):
            yield BinaryContent.from_data_uri(address)


def _type_of(data: bytes) -> str:
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), "audio/L16")


def _wave(samples: bytes) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples)
    return buffer.getvalue()
