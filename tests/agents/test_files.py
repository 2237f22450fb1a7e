"""Pictures, sound and documents come with an agent's answer, as content blocks of MCP."""

import base64
import json
from pathlib import Path

import pytest
from mcp import Client, types

from tests.agents.test_face import write_agent
from tests.fakes.gateway_scene import PATIENCE, open_scene

pytestmark = pytest.mark.anyio

FILES = {"image/png": b"\x89PNG", "audio/wav": b"RIFF", "application/pdf": b"%PDF-1.7"}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_files_of_an_answer_reach_the_client_as_content_blocks(
    empty_store_folder: Path, mode: str
) -> None:
    made = [
        {"media_type": kind, "data": base64.b64encode(data).decode()}
        for kind, data in FILES.items()
    ]
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "painter", json.dumps({"turns": [{"reply": "Here.", "files": made}]}))
        async with Client(
            scene.url, mode=mode, cache=None, read_timeout_seconds=PATIENCE
        ) as client:
            result = await client.call_tool("agent__painter", {"message": "Paint"})
    said, image, audio, document = result.content
    assert isinstance(said, types.TextContent)
    assert said.text == "Here."
    assert isinstance(image, types.ImageContent)
    assert (image.mime_type, base64.b64decode(image.data)) == ("image/png", FILES["image/png"])
    assert isinstance(audio, types.AudioContent)
    assert (audio.mime_type, base64.b64decode(audio.data)) == ("audio/wav", FILES["audio/wav"])
    assert isinstance(document, types.EmbeddedResource)
    assert isinstance(document.resource, types.BlobResourceContents)
    assert base64.b64decode(document.resource.blob) == FILES["application/pdf"]
