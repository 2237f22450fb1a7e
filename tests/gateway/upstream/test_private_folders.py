"""A tool server finds the host's own folders empty."""

import ast
import asyncio
import sys
import tempfile
from pathlib import Path

import pytest

from host.config.paths import Paths, private_folders
from host.config.servers import ServerConfig
from host.gateway.upstream.keeper import Keeper
from host.gateway.upstream.keeper_process import can_hide
from tests.fakes.gateway_scene import open_scene

pytestmark = pytest.mark.anyio

needs_views = pytest.mark.skipif(
    sys.platform != "linux" or not can_hide([]), reason="the system gives nobody views of files"
)

LOOK = "import os, sys; print([os.listdir(folder) for folder in sys.argv[1:]])"
WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1], 'x').write_text('x')"


async def output_of(code: str, *words: Path, hide: list[Path], cwd: Path | None = None) -> str:
    keeper = Keeper()
    try:
        argv = [sys.executable, "-I", "-S", "-c", code, *map(str, words)]
        child = await keeper.start("a", argv, env={}, cwd=cwd and str(cwd), hide=hide)
        async with asyncio.timeout(60):
            said, failed = await child.stdout.read(), await child.stderr.read()
            await child.exited
        return (said or failed).decode()
    finally:
        keeper.close()


@needs_views
async def test_hidden_folders_are_empty_and_cannot_be_written_to_and_others_are_as_they_are(
    tmp_path: Path,
):
    for name in ("secret", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("here")
    secret, other = tmp_path / "secret", tmp_path / "open"
    missing = tmp_path / "missing"
    seen = ast.literal_eval(await output_of(LOOK, secret, other, hide=[secret, missing]))
    assert seen == [[], ["file"]]
    assert "Read-only file system" in await output_of(WRITE, secret, hide=[secret])
    assert (secret / "file").read_text() == "here"


@needs_views
async def test_a_hidden_folder_is_not_seen_by_way_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("here")
    monkeypatch.chdir(tmp_path)
    assert ast.literal_eval(await output_of(LOOK, Path(), hide=[tmp_path])) == [[]]


@needs_views
@pytest.mark.parametrize("open_to", [False, True])
async def test_a_configured_server_sees_the_hosts_data_only_if_the_configuration_says_so(
    open_to: bool,
):
    code = (
        "import os, sys; open(sys.argv[2], 'w').write('it saw %d' % len(os.listdir(sys.argv[1])))"
    )
    with tempfile.TemporaryDirectory(prefix="mcph-") as folder:
        data, told = Path(folder) / "data", Path(folder) / "told"
        args = ["-S", "-c", code, str(data), str(told)]
        server = {"command": sys.executable, "args": args, "host_folders": open_to}
        async with open_scene({"curious": server}, data=data) as scene, scene.line() as client:
            await client.initialize()
            await client.request("tools/list")
        assert told.read_text().startswith("it saw ")
        assert (told.read_text() != "it saw 0") is open_to


def test_folders_in_which_others_have_files_are_not_taken_for_the_hosts_own(tmp_path: Path):
    everybodys = Path(tempfile.gettempdir())
    paths = Paths(Path.home(), tmp_path / "data", everybodys)
    assert private_folders(paths) == (tmp_path / "data",)


def test_only_a_program_can_be_let_see_them():
    with pytest.raises(ValueError, match="'host_folders' does not go together with 'url'"):
        ServerConfig.model_validate({"url": "https://x.example/mcp", "host_folders": True})
