"""What somebody asks an agent to do, and what comes of it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai.messages import BinaryContent, UserContent

from host.domain.jsonrpc import INVALID_PARAMS, Json, RpcError
from host.events.run import Run, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A message to an agent.

    Attributes:
        agent: Its name.
        content: A text, or texts and files.
        thread: The conversation that it continues; empty begins one.
        model: In place of the agent's own; empty leaves it.
        schema: Of the answer, in place of the agent's own.
        chosen: Why this agent, where the host chose it.
    """

    agent: str
    content: str | Sequence[UserContent]
    thread: str = ""
    model: str = ""
    schema: dict[str, Any] | None = None
    chosen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
        run: As it stood at its end.
        agent: Who answered: the agent that was asked, or one that it handed over to.
        error: Why it failed, for the reader.
        chosen: Why the host chose this agent; empty where it was named.
        files: Pictures and the like that came with the answer.
        notes: What was asked for and could not be had, such as parameters that were not sent.
    """

    run: Run
    status: RunStatus
    agent: str
    text: str = ""
    value: Any = None
    error: str | None = None
    chosen: str = ""
    files: tuple[BinaryContent, ...] = ()
    notes: tuple[str, ...] = ()

    def blocks(self) -> list[Json]:
        """Return the files as content blocks of a tool's result."""
        return [_block(number, file) for number, file in enumerate(self.files, 1)]

    def fields(self) -> Json:
        """Return it as JSON, the shape of every agent's tool result."""
        return {
            "run": self.run.id,
            "thread": self.run.thread,
            "agent": self.agent,
            "status": self.status,
            "text": self.text,
            "output": self.value,
            "error": self.error,
            "chosen": self.chosen,
            "notes": list(self.notes),
            "steps": self.run.steps,
            "input_tokens": self.run.input_tokens,
            "output_tokens": self.run.output_tokens,
            "cost": self.run.cost,
        }


def _block(number: int, file: BinaryContent) -> Json:
    data = base64.b64encode(file.data).decode()
    if file.is_image or file.is_audio:
        kind = "image" if file.is_image else "audio"
        return {"type": kind, "data": data, "mimeType": file.media_type}
    resource = {"uri": f"file:///answer/{number}", "mimeType": file.media_type, "blob": data}
    return {"type": "resource", "resource": resource}


def file_of(given: Json) -> BinaryContent:
    """Return a file that came with a message.

    Raises:
        RpcError: Its data is not Base64.
    """
    try:
        data = base64.b64decode(str(given["data"]), validate=True)
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, "The data of a file has to be Base64.") from error
    return BinaryContent(data, media_type=str(given["media_type"]))
