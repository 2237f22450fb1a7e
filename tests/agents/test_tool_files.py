"""Pictures, sound and documents in a tool's result reach the model, if it reads such files."""

import base64
import json
from pathlib import Path

import pytest
from typing_extensions import override

from host.agents.replay import replay_run
from host.agents.tool_result import LARGEST_FILE, answer_of
from host.domain.jsonrpc import Json
from host.gateway.exchange import Exchange
from host.gateway.local import LocalProvider
from tests.agents.scene import READS, Scene, open_agents, tool
from tests.agents.test_endings import NAMES, configure
from tests.fakes.model_provider import model_provider
from tests.fakes.model_wire import Answer

pytestmark = pytest.mark.anyio

PNG, SOUND, PDF = b"\x89PNG\r\n", b"RIFF sound", b"%PDF-1.7"
READ_BY = {
    "anthropic": {PNG, PDF},
    "openai": {PNG, PDF},
    "google": {PNG, SOUND, PDF},
    "ollama": {PNG},
}
"""What of them each provider's model reads."""


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def block(kind: str, data: bytes, media_type: str) -> Json:
    return {"type": kind, "data": encoded(data), "mimeType": media_type}


def blob(data: bytes, media_type: str) -> Json:
    about = {"uri": "notes://1", "mimeType": media_type, "blob": encoded(data)}
    return {"type": "resource", "resource": about}


class Shelf(LocalProvider):
    """A tool that returns one file of each kind."""

    @override
    async def tools(self) -> list[Json]:
        return [tool("show", READS)]

    @override
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        image, sound = block("image", PNG, "image/png"), block("audio", SOUND, "audio/mpeg")
        return {"content": [image, sound, blob(PDF, "application/pdf")]}


def with_shelf(scene: Scene, model: str) -> None:
    scene.host.own["shelf"] = Shelf("shelf", scene.host.gateway.on_notice)
    scene.agent("reader", model=model, tools=["shelf"])


@pytest.mark.parametrize("name", READ_BY)
async def test_files_of_a_tool_are_sent_to_a_model_that_reads_them_and_the_rest_is_told(
    store_folder: Path, tmp_path: Path, name: str
) -> None:
    with model_provider() as vendor:
        vendor.will(Answer(calls=(("shelf__show", {}),)), Answer(text="A cat."))
        configure(tmp_path, vendor.url)
        async with open_agents(store_folder, tmp_path) as scene:
            with_shelf(scene, name)
            outcome = await scene.ask("reader")
            replayed = await replay_run(scene.host.agents.runs, scene.principal, outcome.run.id)
        sent = json.dumps(vendor.asked[-1].body)
    assert (outcome.status, outcome.text) == ("succeeded", "A cat."), outcome.error
    assert {one for one in (PNG, SOUND, PDF) if encoded(one) in sent} == READ_BY[name], NAMES[name]
    assert ("this model takes no" in sent) == (READ_BY[name] != {PNG, SOUND, PDF})
    assert "[image image/png, 6 bytes]" in sent
    assert replayed.differences == []


async def test_files_of_a_tool_are_kept_in_the_record_and_shown_again_in_the_next_message(
    store_folder: Path, tmp_path: Path
) -> None:
    with model_provider() as vendor:
        vendor.will(Answer(calls=(("shelf__show", {}),)), Answer(text="A cat."))
        configure(tmp_path, vendor.url)
        async with open_agents(store_folder, tmp_path) as scene:
            with_shelf(scene, "anthropic")
            first = await scene.ask("reader")
            await scene.ask("reader", "Which colour?", thread=first.run.thread)
            result = next(e for e in await scene.events(first.run.id) if e.kind == "result")
        sent = json.dumps(vendor.asked[-1].body)
    assert [one["media_type"] for one in result.data["files"]] == [
        *("image/png", "audio/mpeg", "application/pdf")
    ]
    assert "Which colour?" in sent
    assert encoded(PNG) in sent


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (blob(b"a,b", "text/csv"), "a,b"),
        (blob(b"PK", "application/zip"), "[resource notes://1 application/zip, 2 bytes]"),
        (
            {"type": "image", "data": "%%", "mimeType": "image/png"},
            "[image image/png, which is not Base64]",
        ),
        (
            block("image", b"x" * (LARGEST_FILE + 1), "image/png"),
            "[image image/png, 8000001 bytes; not shown, since it is larger than 8000000 bytes]",
        ),
        ({"type": "resource_link", "uri": "file:///a"}, "[resource file:///a]"),
        ({"type": "hologram"}, "[hologram , 0 bytes]"),
    ],
)
def test_what_is_no_file_for_a_model_is_told_in_a_line(given: Json, text: str) -> None:
    answer = answer_of({"content": [given]})
    assert (answer.text, answer.files) == (text, ())
