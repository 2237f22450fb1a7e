"""Which files a model takes: what it does not is said, and another model of a route asked."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast

from pydantic_ai.messages import (
    AudioUrl,
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ToolReturnPart,
    UserPromptPart,
    VideoUrl,
)
from pydantic_ai.profiles import ModelProfile
from typing_extensions import TypeIs

_MAY_HOLD_FILES = (UserPromptPart, ToolReturnPart)
File = BinaryContent | ImageUrl | AudioUrl | DocumentUrl | VideoUrl
Kind = str
"""`image`, `audio`, `document` or `video`."""
CHAT_AUDIO = frozenset(("audio/wav", "audio/mpeg"))
"""What OpenAI's chat format has a word for."""
CHAT_DIALECTS = frozenset(("openai-chat", "azure", "ollama", "compatible"))
KINDS_OF_PROVIDER: dict[str, frozenset[Kind]] = {
    "ollama": frozenset(("image",)),
    "deepseek": frozenset[Kind](),
    "xai": frozenset(("image",)),
    "mistral": frozenset(("image",)),
    "vllm": frozenset(("image", "audio")),
    "llamacpp": frozenset(("image", "audio")),
    "lmstudio": frozenset(("image",)),
}
"""Kinds of files that servers read that speak OpenAI's format but not all of it."""
_FLAGS = {
    "image": "supports_image_input",
    "audio": "supports_audio_file_input",
    "document": "supports_document_input",
    "video": "supports_video_input",
}
PICTURE_TOKENS = 1600
"""About what a picture costs to read, and the least that any other file does."""
TEXT_TYPES = (
    "text/",
    "application/json",
    "application/xml",
    "application/yaml",
    "application/x-yaml",
    "application/toml",
    "application/javascript",
    "application/sql",
    "application/x-sh",
)
"""How the types of documents begin that are sent as text."""


_KNOWN_AS = {
    **dict.fromkeys(
        ("audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/x-pn-wav", "audio/vnd.wav"),
        "audio/wav",
    ),
    **dict.fromkeys(
        ("audio/mp3", "audio/x-mp3", "audio/x-mpeg", "audio/mpeg3", "audio/x-mpeg-3"), "audio/mpeg"
    ),
    **dict.fromkeys(("image/jpg", "image/pjpeg", "image/x-jpeg"), "image/jpeg"),
    "audio/x-flac": "audio/flac",
    "audio/x-aiff": "audio/aiff",
    "audio/x-aac": "audio/aac",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
    "application/x-json": "application/json",
}
"""Names of types in use → the ones that the vendors' packages know."""


def usual_types(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Return a conversation whose files have types that all vendors' packages know, if any."""
    if is_text(messages):
        return messages
    return [_usual_message(message) for message in messages]


def is_text(messages: Iterable[ModelMessage]) -> bool:
    """Return whether a conversation is nothing but text, as nearly all are."""
    for message in messages:
        if isinstance(message, ModelRequest):
            for part in message.parts:
                if isinstance(part, _MAY_HOLD_FILES) and not isinstance(part.content, str):
                    return False
    return True


def _usual_message(message: ModelMessage) -> ModelMessage:
    if not isinstance(message, ModelRequest):
        return message
    parts = [_usual_part(part) for part in message.parts]
    changed = any(new is not old for new, old in zip(parts, message.parts, strict=True))
    return replace(message, parts=parts) if changed else message


def _usual_part(part: ModelRequestPart) -> ModelRequestPart:
    if not isinstance(part, UserPromptPart | ToolReturnPart) or isinstance(part.content, str):
        return part
    content: Any = part.content
    items = cast("list[Any]", content) if isinstance(content, list | tuple) else [content]
    made = [_usual_file(item) for item in items]
    if all(new is old for new, old in zip(made, items, strict=True)):
        return part
    return replace(part, content=made if isinstance(content, list | tuple) else made[0])


def _usual_file(item: object) -> object:
    if not isinstance(item, BinaryContent):
        return item
    media_type = item.media_type.partition(";")[0].strip().lower()
    media_type = _KNOWN_AS.get(media_type, media_type)
    if "/" not in media_type:
        media_type = "application/octet-stream"
    if media_type.startswith(TEXT_TYPES) or media_type.endswith(("+json", "+xml")):
        # Their packages know a few types of text, each other ones, and stop at a wrong byte.
        return BinaryContent(item.data.decode(errors="replace").encode(), media_type="text/plain")
    if media_type == item.media_type:
        return item
    return BinaryContent(item.data, media_type=media_type, vendor_metadata=item.vendor_metadata)


def files_of(messages: Iterable[ModelMessage]) -> list[File]:
    """Return the files that somebody gave a model to read; those that tools gave are apart."""
    return [
        item
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, UserPromptPart) and not isinstance(part.content, str)
        for item in part.content
        if isinstance(item, File)
    ]


def tell_refused(
    messages: list[ModelMessage], refused: Callable[[File], str | None]
) -> tuple[list[ModelMessage], list[str]]:
    """Put words in the place of the files that tools gave and a model does not take.

    Args:
        messages: A conversation.
        refused: Returns a file that the model does not take in words; None: it takes it.

    Returns:
        The conversation, and one entry for each file that is not in it any more.
    """
    told: list[str] = []
    if is_text(messages):
        return messages, told

    def part_told(part: ModelRequestPart) -> ModelRequestPart:
        if not _has_files(part):
            return part
        items: list[Any] = []
        for item in part.content_items():
            files = refused(item) if isinstance(item, File) else None
            told.extend([files] if files else [])
            items.append(f"(Here was a file, but this model takes no {files}.)" if files else item)
        return replace(part, content=items)

    def message_told(message: ModelMessage) -> ModelMessage:
        if not isinstance(message, ModelRequest) or not any(map(_has_files, message.parts)):
            return message
        before = len(told)
        parts = [part_told(part) for part in message.parts]
        return replace(message, parts=parts) if len(told) > before else message

    return [message_told(message) for message in messages], told


def _has_files(part: ModelRequestPart) -> TypeIs[ToolReturnPart]:
    """Return whether a part is what a tool gave, with files in it."""
    if not isinstance(part, ToolReturnPart) or isinstance(part.content, str):
        return False
    return bool(part.files)


def refused_file(
    files: Iterable[File], profile: ModelProfile, *, dialect: str, provider: str
) -> str | None:
    """Return the first file that a model does not take, in words; None: it takes all.

    Args:
        files: The files.
        profile: What the model takes.
        dialect: Its wire format.
        provider: Its provider, which may read less than its format has.
    """
    for item in files:
        media_type, kind = _type_of(item), kind_of(item)
        if kind == "document" and media_type.startswith(TEXT_TYPES):
            continue  # sent as text
        if not _takes(kind, media_type, profile, dialect=dialect, provider=provider):
            return f"{media_type or kind} files"
    return None


def tokens_of(item: object) -> int:
    """Return about how many tokens a part of a message is; 4 characters of text are one."""
    if isinstance(item, str):
        return len(item) // 4
    if not isinstance(item, BinaryContent):
        return PICTURE_TOKENS if isinstance(item, File) else len(str(item)) // 4
    if item.media_type.startswith(TEXT_TYPES):
        return len(item.data) // 4
    return PICTURE_TOKENS if item.is_image else max(PICTURE_TOKENS, len(item.data) // 100)


def kind_of(item: File) -> Kind:
    """Return what kind of file something is."""
    if isinstance(item, ImageUrl) or (isinstance(item, BinaryContent) and item.is_image):
        return "image"
    if isinstance(item, AudioUrl) or (isinstance(item, BinaryContent) and item.is_audio):
        return "audio"
    if isinstance(item, VideoUrl) or (isinstance(item, BinaryContent) and item.is_video):
        return "video"
    return "document"


def _takes(
    kind: Kind, media_type: str, profile: ModelProfile, *, dialect: str, provider: str
) -> bool:
    if provider in KINDS_OF_PROVIDER and kind not in KINDS_OF_PROVIDER[provider]:
        return False
    if not profile.get(_FLAGS[kind], True):
        return False
    if dialect in CHAT_DIALECTS and kind == "audio":
        return not media_type or media_type in CHAT_AUDIO
    if dialect in CHAT_DIALECTS and kind == "document":
        return profile.get("openai_chat_supports_document_input", True) is True
    if kind == "document" and media_type:
        known = profile.get("supported_document_media_types")
        return known is None or media_type in known
    return True


def _type_of(item: File) -> str:
    try:
        return item.media_type
    except ValueError:
        return ""  # an address that does not say
