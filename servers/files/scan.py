"""The process that matches file contents: a pattern that takes too long kills this, not the server.

Reads one JSON job a line on standard input and answers with one line each. It holds the roots'
descriptors, opens everything below them, and imports little, so that it starts fast.
"""

import json
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from servers.files.beneath import FOLDER, choose_opener
from servers.files.needle import required_text

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
_PROBE = 8192
_LONGEST_LINE = 500
"""Characters of a line that are shown; of a longer one, those around the match."""
_CROSSES_LINES = ("\\A", "\\Z", "(?<", "(?!", "(?=", "(?>", "*+", "++", "?+", "}+", "(?(")
"""Parts of a pattern for which a match in one line may be no match in the whole text."""


@dataclass(frozen=True)
class Query:
    """What is looked for."""

    line: re.Pattern[str]
    """Decides a line."""
    text: re.Pattern[str] | None
    """Found in a whole text if any of its lines match; None when that cannot be told."""
    needle: bytes
    """Bytes that every match holds, in lower case if case is ignored; may be empty."""
    ignore_case: bool
    context: int
    limit: int
    max_file_bytes: int
    hard_links: bool


def compile_query(job: dict[str, Any]) -> Query:
    """Prepare a query; raises `re.error` for a pattern that is none."""
    pattern = str(job["pattern"])
    source = pattern if job["regex"] else re.escape(pattern)
    if job["whole_word"]:
        source = rf"\b(?:{source})\b"
    flags = re.IGNORECASE if job["ignore_case"] else 0
    safe = not job["regex"] or not any(mark in pattern for mark in _CROSSES_LINES)
    needle = required_text(pattern) if job["regex"] else pattern
    if job["ignore_case"]:
        needle = needle.lower() if needle.isascii() else ""
    return Query(
        line=re.compile(source, flags),
        text=re.compile(source, flags | re.MULTILINE) if safe else None,
        needle=needle.encode(errors="surrogatepass"),
        ignore_case=job["ignore_case"],
        context=job["context"],
        limit=job["limit"],
        max_file_bytes=job["max_file_bytes"],
        hard_links=job["hard_links"],
    )


class Tally(dict[str, int]):
    """Counts of what was searched and what was passed over, by reason."""

    def add(self, reason: str) -> None:
        """Count one file."""
        self[reason] = self.get(reason, 0) + 1


def read_file(folder: int, name: str, query: Query, tally: Tally) -> bytes | None:
    """Read a regular file whole; None for what is not searched."""
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
        try:
            status = os.fstat(descriptor)
            refused = _refuse(status, query)
            data = None if refused else _read_all(descriptor, status.st_size, query.max_file_bytes)
        finally:
            os.close(descriptor)
    except OSError:
        refused, data = "unreadable", None
    if refused:
        tally.add(refused)
    return data


def _refuse(status: os.stat_result, query: Query) -> str:
    """Why a file is not searched; empty when it is."""
    if not stat.S_ISREG(status.st_mode):
        return "unreadable"
    if status.st_nlink > 1 and not query.hard_links:
        return "hard_links"
    return "large" if status.st_size > query.max_file_bytes else ""


def _read_all(descriptor: int, size: int, most: int) -> bytes:
    data = os.read(descriptor, size + 1)
    while 0 < len(data) <= most and len(data) != size:
        more = os.read(descriptor, 1 << 20)
        if not more:
            break
        data += more
    return data


def find_hits(data: bytes, query: Query, after_line: int, tally: Tally) -> Iterator[dict[str, Any]]:
    """Find the matching lines of one file."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        text = data.decode("utf-16", errors="replace")
    elif b"\0" in data[:_PROBE]:
        tally.add("binary")
        return
    else:
        tally.add("searched")
        if query.needle and not _may_match(data, query):
            return
        text = data.decode("utf-8", errors="replace")
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if query.text is not None and query.text.search(text) is None:
        return
    lines = text.removesuffix("\n").split("\n")
    for index in range(after_line, len(lines)):
        match = query.line.search(lines[index])
        if match is not None:
            yield _hit(lines, index, match, query.context)


def _may_match(data: bytes, query: Query) -> bool:
    if not query.ignore_case:
        return query.needle in data
    # Beyond ASCII some letters equal ASCII ones but for case (the Kelvin sign and k).
    return query.needle in data.lower() or not data.isascii()


def _hit(lines: list[str], index: int, match: re.Match[str], context: int) -> dict[str, Any]:
    start = max(0, match.start() - _LONGEST_LINE // 2) if len(lines[index]) > _LONGEST_LINE else 0
    return {
        "line": index + 1,
        "column": match.start() + 1,
        "text": lines[index][start : start + _LONGEST_LINE],
        "before": [x[:_LONGEST_LINE] for x in lines[max(0, index - context) : index]],
        "after": [x[:_LONGEST_LINE] for x in lines[index + 1 : index + 1 + context]],
    }


def scan(batch: list[list[Any]], query: Query, root: int, way: str) -> dict[str, Any]:
    """Search the files of a batch: [folder's names, file names, line to continue behind] each."""
    hits: list[dict[str, Any]] = []
    tally = Tally()
    for parts, names, after_line in batch:
        try:
            folder = choose_opener(way)(root, tuple(parts), FOLDER)
        except OSError:
            tally.add("unreadable")
            continue
        try:
            for name in names:
                data = read_file(folder, name, query, tally)
                for hit in find_hits(data, query, after_line, tally) if data else ():
                    hits.append({"parts": [*parts, name], **hit})
                    if len(hits) > query.limit:
                        return {"hits": hits, "tally": tally}
        finally:
            os.close(folder)
    return {"hits": hits, "tally": tally}


def main() -> None:
    """Serve jobs until standard input ends."""
    way = sys.argv[1]
    query: Query | None = None
    for line in sys.stdin.buffer:
        job = json.loads(line)
        if "query" in job:
            query = compile_query(job["query"])
            continue
        # A pattern can run for ages in one call: the alarm ends it even if the server died.
        signal.setitimer(signal.ITIMER_REAL, job["seconds"])
        answer = scan(job["batch"], query, job["root"], way) if query else {}
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
