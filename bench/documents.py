"""Indexing and searching folders of documents: `python -m bench documents [--files N]`.

Our search server, confined as under the host, over a folder of made-up Markdown, HTML, PDF and DOCX
files. Words alone are indexed, since that is what an empty install does.
"""

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

from bench.memory.made import Writer
from bench.raw_stdio import RawClient
from tests.fakes.documents import make_docx, make_pdf

PROJECT = Path(__file__).resolve().parents[1]
KINDS = ("md",) * 14 + ("html",) * 4 + ("pdf", "docx")
"""Of twenty files; each that is not Markdown is parsed in a process of its own."""


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Index a folder, look at it again, change a little, and search."""
    parser = argparse.ArgumentParser("python -m bench documents", description=__doc__)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--searches", type=int, default=100)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="mah-bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        return anyio.run(measure, folder, options.files, options.searches)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_documents(top: Path, files: int) -> None:
    """Write so many files of about 400 words, in folders of a hundred."""
    writer, chance = Writer(), random.Random(1)  # noqa: S311 - repeatable
    for number in range(files):
        place = top / f"part{number // 100:03}"
        place.mkdir(parents=True, exist_ok=True)
        parts = [writer.text(100) for _ in range(4)]
        kind = chance.choice(KINDS)
        if kind == "pdf":
            body = make_pdf(*parts)
        elif kind == "docx":
            body = make_docx(f"# Title {number}", *parts, title=f"Title {number}")
        elif kind == "html":
            shown = "".join(f"<h2>{part[:20]}</h2><p>{part}</p>" for part in parts)
            body = f"<html><title>{number}</title><body>{shown}</body></html>".encode()
        else:
            body = "\n\n".join([f"# Title {number}", *parts]).encode()
        (place / f"file{number}.{kind}").write_bytes(body)


async def measure(folder: Path, files: int, searches: int) -> dict[str, Any]:
    """Run everything once and print it."""
    top = folder / "papers"
    write_documents(top, files)
    settings = f'{{"documents": ["{top}"], "document_refresh_seconds": 3600}}'
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "HOST_DATA_DIR": str(folder / "data"),
        "HOST_SERVER_CONFINE": "1",
        "HOST_SERVER_SETTINGS": settings,
    }
    (folder / "data").mkdir(mode=0o711)
    client = RawClient([sys.executable, "-m", "servers.search"], environment)
    try:
        await client.call_tool("list_documents", {})  # starts the store
        result = {"index_s": await look(client, "indexed", files)}
        result["look_again_s"] = await look(client, "looked at again, nothing changed", files)
        for number in range(10):
            (top / "part000" / f"new{number}.md").write_text(f"# New {number}\n\nfresh words\n")
        result["ten_new_s"] = await look(client, "looked at again, ten new", files)
        writer, times = Writer(seed=5), list[float]()
        for _ in range(searches):
            query, start = writer.query(), time.perf_counter()
            await client.call_tool("search_documents", {"query": query})
            times.append((time.perf_counter() - start) * 1000)
        result["search_p50_ms"] = statistics.median(times)
        result["search_p95_ms"] = statistics.quantiles(times, n=20)[18]
        print(
            f"  search over stdio p50 {result['search_p50_ms']:.1f} ms"
            f"   p95 {result['search_p95_ms']:.1f} ms"
        )
        return result
    finally:
        client.close()


async def look(client: RawClient, what: str, files: int) -> float:
    """Let the server look at its folders; print and return the seconds."""
    start = time.perf_counter()
    found = await client.call_tool("index_documents", {})
    spent = time.perf_counter() - start
    tally = found["structuredContent"]
    print(
        f"  {what}: {spent:.1f} s for {tally['files']:,} files"
        f" ({files / spent:,.0f}/s; {tally['added']} added, {len(tally['problems'])} problems)"
    )
    return spent
