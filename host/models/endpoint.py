"""One model at one provider, with what is known of its health; many routes may share one."""

from collections.abc import Generator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile, merge_profile
from pydantic_ai.settings import ModelSettings

from host.domain.errors import ModelError
from host.models.bucket import Buckets, Lease, Observed
from host.models.config import LimitConfig
from host.models.ending import Ending, ending_of, names_its_end
from host.models.fault import map_fault
from host.models.media import File, refused_file, tell_refused, tokens_of
from host.models.name import ModelName
from host.models.sent import Witness
from host.models.settings import Settings

_SMOOTHING = 0.3
"""Weight of the newest request in the average latency."""


@dataclass(slots=True)
class Health:
    """How a model has done lately, shared by every route that has it.

    Attributes:
        failures: Failed requests in a row.
        rests_until: Clock time until which it is passed over.
        latency: Average seconds to a reply, newest counting most; None before the first.
    """

    failures: int = 0
    rests_until: float = 0
    latency: float | None = None

    def succeeded(self, seconds: float) -> None:
        """Note a reply."""
        self.failures, self.rests_until = 0, 0
        before = seconds if self.latency is None else self.latency
        self.latency = before + _SMOOTHING * (seconds - before)

    def failed(self, now: float, *, limit: int, rest: float) -> None:
        """Note a failure; after `limit` of them in a row the model rests."""
        self.failures += 1
        if self.failures >= limit:
            self.rests_until = now + rest


_NOTHING = Observed()


@dataclass(slots=True)
class Headers:
    """The newest rate-limit headers that the HTTP client of an endpoint saw."""

    observed: Observed = _NOTHING


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model that can be asked.

    Attributes:
        name: Its id.
        inner: pydantic-ai's model.
        settings: What is sent with each request.
        limits: Its rate bucket's limits, and `bucket` the bucket's name.
        headers: What its HTTP client saw.
        health: How it does.
        schema_output: How a JSON Schema is asked for; None: as pydantic-ai knows the model.
        dialect: Its wire format, `client` or `scripted`.
        vision: Whether it sees images, where the user said so.
        secret: Its key, to keep it out of messages.
        key: The name of its key.
    """

    name: ModelName
    inner: Model[Any]
    settings: Settings
    limits: LimitConfig = field(default_factory=LimitConfig)
    bucket: str = ""
    headers: Headers = field(default_factory=Headers)
    health: Health = field(default_factory=Health)
    schema_output: Literal["native", "tool", "prompted"] | None = None
    dialect: str = ""
    vision: bool | None = None
    secret: str = field(default="", repr=False)
    key: str = ""
    witness: Witness = field(init=False)

    def __post_init__(self) -> None:
        http = self.dialect not in {"client", "scripted"}
        wanted: Mapping[str, Any] = self.settings.wanted if http else {}
        thinks = self.dialect == "compatible" or wanted.get("reasoning") != "off"
        thinks = thinks or bool(self.inner.profile.get("supports_thinking", False))
        witness = Witness(str(self.name), self.dialect, wanted, thinks)
        object.__setattr__(self, "witness", witness)

    def notes(self, refused: list[str]) -> list[str]:
        """Return one sentence for each parameter, and each kind of tools' files, that is not sent.

        Args:
            refused: The files, as `shown` gave them.
        """
        files = [
            f"{self.name} takes no {files}; those that tools gave are not sent."
            for files in dict.fromkeys(refused)
        ]
        return [*self.settings.notes, *(self.witness.notes or ()), *files]

    def shown(self, messages: list[ModelMessage]) -> tuple[list[ModelMessage], list[str]]:
        """Return a conversation as it is sent, and in words the tools' files that are not."""
        return tell_refused(messages, lambda file: self.refused([file]))

    def refused(self, files: list[File]) -> str | None:
        """Return the files that it does not take, in words; None: all pass."""
        profile = self.inner.profile
        if self.vision is not None:
            profile = merge_profile(profile, ModelProfile(supports_image_input=self.vision))
        return refused_file(files, profile, dialect=self.dialect, provider=self.name.provider)

    def admitted(
        self, buckets: Buckets, messages: list[ModelMessage]
    ) -> AbstractAsyncContextManager[Lease]:
        """Return what holds a place in the rate bucket."""
        estimate = estimate_tokens(messages) if self.limits.tokens_per_minute else 0
        return buckets.admit(self.bucket, self.limits, estimate)

    def observe(self, lease: Lease) -> None:
        """Tell the rate bucket what the headers said."""
        if self.headers.observed is not _NOTHING:
            lease.observed, self.headers.observed = self.headers.observed, _NOTHING

    @contextmanager
    def mapping(self) -> Generator[None]:
        """Let errors of the vendor leave as the host's.

        Raises:
            ModelError: Whatever went wrong at the provider.
        """
        try:
            yield
        except Exception as error:  # the vendors' errors share no base
            mapped = map_fault(error, str(self.name), secret=self.secret, key=self.key)
            if mapped is None or mapped is error:
                raise
            if self.secret:  # some providers repeat the key, and a cause is shown in tracebacks
                raise mapped from None
            raise mapped from _bare(error)

    def merged(self, settings: ModelSettings | None) -> ModelSettings:
        """Return the settings with those of one request over them."""
        return {**self.settings.values, **(settings or {})}

    async def request(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return a reply; errors are the vendor's."""
        prepared = self.inner.prepare_messages(messages, parameters)
        return await self.inner.request(prepared, self.merged(settings), parameters)

    def opened(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> Any:  # noqa: ANN401 - pydantic-ai's context manager of a stream
        """Return the context manager of a streamed reply."""
        prepared = self.inner.prepare_messages(messages, parameters)
        return self.inner.request_stream(prepared, self.merged(settings), parameters)

    def ending(self, reply: ModelResponse | StreamedResponse) -> Ending:
        """Return how a reply ended, or a stream that is over."""
        return ending_of(reply, model=str(self.name), secret=self.secret)

    def cut(self) -> ModelError:
        """Return the error of a reply that ended before its end."""
        return ModelError(
            f"{self.name} closed the connection in the middle of its reply.",
            model=str(self.name),
            fault="cut",
        )


def _bare(error: Exception) -> Exception:
    """Return a cause without anybody's local variables, all the way down: an SDK's have the key."""
    cause: BaseException | None = error
    while cause is not None:
        cause.__traceback__ = None
        cause = cause.__cause__ or cause.__context__
    return error


def ended_early(stream: StreamedResponse) -> bool:
    """Return whether a stream is over although the provider had not said so."""
    said = stream.finish_reason is not None or names_its_end(stream)
    return not said and stream.state != "suspended"


def estimate_tokens(messages: list[ModelMessage]) -> int:
    """Return a rough count of the tokens of a conversation."""
    size = 1
    for message in messages:
        for part in message.parts:
            content: object = getattr(part, "content", None)
            if isinstance(content, str):
                size += tokens_of(content)
            elif isinstance(message, ModelRequest) and isinstance(part, UserPromptPart):
                size += sum(tokens_of(item) for item in part.content)
            elif isinstance(part, ToolReturnPart):
                size += sum(tokens_of(item) for item in part.content_items(mode="str"))
    return size
