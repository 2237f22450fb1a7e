"""The program that parses documents: what hurts it stays its own trouble."""

from pathlib import Path

import pytest

from servers.confine import landlock_version
from servers.search.reader import Reader
from servers.tool import RefusalError
from tests.fakes.documents import make_pdf_bomb

EXTRACT = Path(__file__).parents[3] / "servers" / "search" / "extract.py"
LIMIT = 90.0
"""Seconds for what is expected to end by itself."""
needs_landlock = pytest.mark.skipif(landlock_version() < 1, reason="this kernel has no Landlock")
pytestmark = pytest.mark.anyio


async def test_pdf_bomb_stays_within_the_memory_of_its_own_process():
    reader = Reader(seconds=LIMIT, memory=300_000_000, max_chars=1000)
    bomb = make_pdf_bomb(1000)  # a gigabyte, more than three times what the process may use
    assert len(bomb) < 10_000_000

    try:
        found = await reader.read(bomb, "pdf", url="http://example.com/bomb", charset=None)
    except RefusalError as error:
        assert "cannot be parsed" in error.message  # noqa: PT017 - either outcome is bounded
    else:
        assert found.text.strip() == "<!-- page 1 -->"


async def test_parser_that_takes_too_much_memory_is_stopped(tmp_path: Path):
    hungry = program(
        tmp_path,
        f"import sys; sys.path.insert(0, {str(EXTRACT.parent)!r})\nimport extract\n"
        "extract.extract_document = lambda *_: {'text': str(len(bytes(400_000_000)))}\n"
        "extract.main()\n",
    )
    reader = Reader(LIMIT, 300_000_000, 1000, hungry)

    with pytest.raises(RefusalError, match="needs more memory"):
        await reader.read(b"x", "text", url="http://example.com/", charset=None)


def program(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "parser.py"
    path.write_text(text)
    return path


async def test_parser_that_never_ends_is_killed(tmp_path: Path):
    endless = program(tmp_path, "while True: pass")
    reader = Reader(0.3, 300_000_000, 1000, endless)

    with pytest.raises(RefusalError, match=r"took longer than 0.3 s"):
        await reader.read(b"x", "text", url="http://example.com/", charset=None)


async def test_parser_that_floods_its_output_is_killed(tmp_path: Path):
    flood = program(tmp_path, "import sys\nwhile True: sys.stdout.write('x' * 10000)")
    reader = Reader(LIMIT, 300_000_000, 1000, flood)

    with pytest.raises(RefusalError, match="cannot be parsed"):
        await reader.read(b"x", "text", url="http://example.com/", charset=None)


@pytest.mark.parametrize(
    "deed",
    [
        "import socket; socket.create_connection(('127.0.0.1', 1))",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "open('/tmp/written-by-a-parser', 'w')",
    ],
)
async def test_parser_can_neither_connect_nor_start_programs_nor_write(tmp_path: Path, deed: str):
    hostile = program(
        tmp_path,
        f"import sys; sys.path.insert(0, {str(EXTRACT.parent)!r})\n"
        f"import extract\ndef deed(*_):\n    {deed}\n    return {{'text': 'done'}}\n"
        "extract.extract_document = deed\nextract.main()\n",
    )
    reader = Reader(LIMIT, 500_000_000, 1000, hostile)

    with pytest.raises(RefusalError, match="may not do this"):
        await reader.read(b"x", "text", url="http://example.com/", charset=None)


@needs_landlock
async def test_parser_reads_no_file_of_the_user(tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("swordfish")
    curious = program(
        tmp_path,
        f"import sys; sys.path.insert(0, {str(EXTRACT.parent)!r})\nimport extract\n"
        f"extract.extract_document = lambda *_: {{'text': open({str(secret)!r}).read()}}\n"
        "extract.main()\n",
    )
    reader = Reader(LIMIT, 500_000_000, 1000, curious)

    with pytest.raises(RefusalError, match="Permission denied"):
        await reader.read(b"x", "text", url="http://example.com/", charset=None)
