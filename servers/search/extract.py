"""Turns one document into text; run as a program of its own, which the search server limits.

It imports nothing of this package, so that it can be run by its path in isolated mode. Standard
input is one line of JSON ({"kind", "url", "charset", "max_chars", "memory", "seconds", "passages"})
and then the document; standard output is one JSON object: {"title", "text", "pages"}, or
{"title", "passages"} when these are asked for, or {"error"}.
"""

import importlib.util
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FORBIDDEN = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")
_WRITE_FLAGS = 0o3  # os.O_WRONLY | os.O_RDWR
_HERE = Path(__file__).resolve()


def limit_process(memory: int, seconds: int) -> None:
    """Bound this process's memory, time, files and reach before it reads anything hostile.

    The audit hook stops what a parser might be talked into (opening connections, starting
    programs, writing files); the resource limits also stop what does not pass through Python.
    """
    try:
        import resource  # noqa: PLC0415 - absent on Windows
    except ImportError:
        pass
    else:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITE_FLAGS
    if writes or event.startswith(_FORBIDDEN):
        raise PermissionError(f"a document's parser may not do this: {event}")


def load_beside(path: Path) -> Any:  # noqa: ANN401 - a module
    """Load a module by its path: isolated, this program does not see the package it is in."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def extract_document(body: bytes, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return `title`, `text` and `pages` of a document of `options["kind"]`, or its passages."""
    kind = options["kind"]
    if options.get("passages"):
        return _PASSAGES.extract_passages(body, kind, int(options["max_chars"]))
    if kind == "pdf":
        return _extract_pdf(body, int(options["max_chars"]))
    if kind == "html":
        return _extract_html(body, options)
    return {"title": None, "text": _decode(body, options.get("charset")), "pages": None}


def _decode(body: bytes, charset: str | None) -> str:
    for name in (charset, "utf-8-sig"):
        try:
            return body.decode(name or "utf-8-sig")
        except (LookupError, UnicodeDecodeError):
            continue
    from charset_normalizer import from_bytes  # noqa: PLC0415 - seldom needed

    best = from_bytes(body[:200_000]).best()
    return body.decode(best.encoding if best else "latin-1", "replace")


def _extract_html(body: bytes, options: Mapping[str, Any]) -> dict[str, Any]:
    import trafilatura  # noqa: PLC0415 - after the limits are set

    # A charset in the header wins over the page's own; without one trafilatura looks for it.
    page: Any = _decode(body, options["charset"]) if options.get("charset") else body
    text = trafilatura.extract(
        page,
        url=options.get("url"),
        output_format="markdown",
        include_comments=False,
        include_formatting=True,
        include_links=True,
        include_tables=True,
        favor_recall=True,
    )
    found = trafilatura.extract_metadata(page)
    return {"title": found.title if found else None, "text": text or "", "pages": None}


def _extract_pdf(body: bytes, max_chars: int) -> dict[str, Any]:
    from pypdf import PdfReader  # noqa: PLC0415 - after the limits are set

    reader = PdfReader(io.BytesIO(body))
    if reader.is_encrypted and not reader.decrypt(""):
        return {"error": "the PDF is encrypted and needs a password"}
    pages: list[str] = []
    length = 0
    for number, page in enumerate(reader.pages, 1):
        text = page.extract_text().strip()
        pages.append(f"<!-- page {number} -->\n\n{text}")
        length += len(text)
        if length > max_chars:
            break
    title = reader.metadata.title if reader.metadata else None
    return {"title": title, "text": "\n\n".join(pages), "pages": len(reader.pages)}


def main() -> None:
    """Read one document from standard input and write its text to standard output."""
    header = json.loads(sys.stdin.buffer.readline())
    limit_process(int(header["memory"]), int(header["seconds"]))
    _CONFINE.confine(read=_CONFINE.program_paths(), ports=())
    body = sys.stdin.buffer.read()
    try:
        found = extract_document(body, header)
    except MemoryError:
        found = {"error": "it needs more memory than a document may use"}
    except Exception as error:  # noqa: BLE001 - a child process's boundary: parsers fail in any way
        found = {"error": f"{type(error).__name__}: {error}"[:300]}
    if found.get("text"):
        found["cut"] = len(found["text"]) > header["max_chars"]
        found["text"] = found["text"][: header["max_chars"]]
    sys.stdout.buffer.write(json.dumps(found).encode("ascii"))


_CONFINE = load_beside(_HERE.parents[1] / "confine.py")
_PASSAGES = load_beside(_HERE.with_name("passages.py"))

if __name__ == "__main__":
    main()
