"""Cuts documents into passages that know their line, page or paragraph.

It imports nothing of this package: `extract.py` loads it by its path, in a process of its own.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET  # only within limits, without a DTD; see `_read_xml`

from typing_extensions import override

LONGEST = 1200
"""Characters of a passage, about 200 words: what embedders of 256 tokens see whole."""
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MOST_XML = 64_000_000
_SILENT = {"script", "style", "template", "noscript", "svg", "head"}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "br", "dd", "div", "dl", "dt", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol",
    "p", "pre", "section", "table", "td", "th", "tr", "ul",
}  # fmt: skip

Line = tuple[int, str]
"""A piece of text with its line, page or paragraph."""
Passage = dict[str, Any]
"""`text`, `unit` (`line`, `page` or `paragraph`), `first` and `last`."""


def extract_passages(body: bytes, kind: str, max_chars: int) -> dict[str, Any]:
    """Return `title` and `passages` of a PDF, DOCX or HTML document, or `error`."""
    if kind == "pdf":
        return _extract_pdf(body, max_chars)
    if kind == "docx":
        return _extract_docx(body, max_chars)
    return _extract_html(body.decode("utf-8", "replace"), max_chars)


def split_text(text: str, max_chars: int) -> list[Passage]:
    """Cut a text at empty lines and headings where it can be, at lines else."""
    return join_lines(_limited(enumerate(text.splitlines(), 1), max_chars), "line")


def join_lines(lines: Iterable[Line], unit: str) -> list[Passage]:
    """Join pieces of text to passages of a bearable length.

    A passage ends before a heading, and at an empty piece once it is half full.
    """
    found: list[Passage] = []
    kept: list[Line] = []
    size = 0
    for number, text in lines:
        ends = not text.strip() and size > LONGEST / 2
        starts = text.startswith("#") and size > 0
        for place, part in enumerate(_parts(text)):
            if size + len(part) > LONGEST or (place == 0 and (ends or starts)):
                _add(found, kept, unit)
                kept, size = [], 0
            kept.append((number, part))
            size += len(part) + 1
    _add(found, kept, unit)
    return found


def _parts(text: str) -> Iterator[str]:
    """Cut a line that is longer than a passage, at spaces where there are any."""
    while len(text) > LONGEST:
        cut = text.rfind(" ", LONGEST // 2, LONGEST)
        cut = LONGEST if cut < 0 else cut
        yield text[:cut]
        text = text[cut:]
    yield text


def _add(found: list[Passage], kept: list[Line], unit: str) -> None:
    full = [line for line in kept if line[1].strip()]
    if full:
        text = "\n".join(text for _, text in kept).strip("\n")
        found.append({"text": text, "unit": unit, "first": full[0][0], "last": full[-1][0]})


def _limited(lines: Iterable[Line], max_chars: int) -> Iterator[Line]:
    left = max_chars
    for number, text in lines:
        if left <= 0:
            return
        yield number, text[:left]
        left -= len(text) + 1


def _extract_pdf(body: bytes, max_chars: int) -> dict[str, Any]:
    from pypdf import PdfReader  # noqa: PLC0415 - after the limits are set

    reader = PdfReader(io.BytesIO(body))
    if reader.is_encrypted and not reader.decrypt(""):
        return {"error": "the PDF is encrypted and needs a password"}
    passages: list[Passage] = []
    left = max_chars
    for number, page in enumerate(reader.pages, 1):
        lines = [(number, line) for line in page.extract_text().splitlines()]
        passages += join_lines(_limited(lines, left), "page")
        left -= sum(len(line) + 1 for _, line in lines)
        if left <= 0:
            break
    title = reader.metadata.title if reader.metadata else None
    return {"title": title, "passages": passages}


class _HtmlText(HTMLParser):
    """Collects what a page shows, block by block, each with the line of the source it starts on."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[Line] = []
        self.title = ""
        self._block: list[str] = []
        self._start = 1
        self._silent = 0
        self._in_title = False

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_title = tag == "title"
        if tag in _SILENT:
            self._silent += 1
        if tag in _BLOCKS:
            self.flush()
            if tag in {"h1", "h2", "h3"}:
                self._block.append("# ")
            if tag == "body":
                self._silent = 0  # a head that was never closed

    @override
    def handle_endtag(self, tag: str) -> None:
        self._in_title = False
        if tag in _SILENT and self._silent:
            self._silent -= 1
        if tag in _BLOCKS:
            self.flush()

    @override
    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._silent:
            if not "".join(self._block).strip("# "):
                skipped = len(data) - len(data.lstrip())
                self._start = self.getpos()[0] + data[:skipped].count("\n")
            self._block.append(data)

    def flush(self) -> None:
        """End the block."""
        text = " ".join("".join(self._block).split())
        if text.strip("# "):
            self.lines.append((self._start, text))
        self._block = []


def _extract_html(page: str, max_chars: int) -> dict[str, Any]:
    parser = _HtmlText()
    parser.feed(page)
    parser.close()
    parser.flush()
    passages = join_lines(_limited(parser.lines, max_chars), "line")
    return {"title": " ".join(parser.title.split()) or None, "passages": passages}


def _extract_docx(body: bytes, max_chars: int) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        names = archive.namelist()
        if "word/document.xml" not in names:
            return {"error": "it is a ZIP archive without a Word document in it"}
        document = _read_xml(archive, "word/document.xml")
        core = _read_xml(archive, "docProps/core.xml") if "docProps/core.xml" in names else None
    title = None if core is None else core.findtext("{http://purl.org/dc/elements/1.1/}title")
    lines, unit = _docx_lines(document)
    return {"title": title or None, "passages": join_lines(_limited(lines, max_chars), unit)}


def _read_xml(archive: zipfile.ZipFile, name: str) -> ET.Element:
    """Read a part of the archive, whatever size its header claims.

    Raises:
        ValueError: It inflates beyond what a document has, or defines entities of its own.
    """
    with archive.open(name) as part:
        data = part.read(_MOST_XML + 1)
    if len(data) > _MOST_XML:
        raise ValueError(f"{name} inflates to more than {_MOST_XML // 1_000_000} MB")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError(f"{name} defines entities, which no word processor does")
    return ET.fromstring(data)  # noqa: S314 - bounded, no entities, in a confined process


def _docx_lines(document: ET.Element) -> tuple[list[Line], str]:
    """Return paragraphs by page where the document tells its pages, else by number."""
    rows: list[tuple[int, int, str]] = []
    page = 1
    for number, paragraph in enumerate(document.iter(f"{_WORD}p"), 1):
        text, begun, page = _docx_paragraph(paragraph, page)
        rows.append((begun, number, text))
    by_page = page > 1
    return [(p if by_page else n, text) for p, n, text in rows], "page" if by_page else "paragraph"


def _docx_paragraph(paragraph: ET.Element, page: int) -> tuple[str, int, int]:
    """Return a paragraph's text, the page it begins on, and the page it ends on."""
    text, begun = "", page
    for node in paragraph.iter():
        if node.tag == f"{_WORD}t":
            text += node.text or ""
        elif node.tag in {f"{_WORD}tab", f"{_WORD}cr"}:
            text += " "
        elif node.tag == f"{_WORD}lastRenderedPageBreak" or (
            node.tag == f"{_WORD}br" and node.get(f"{_WORD}type") == "page"
        ):
            page += 1
            begun = begun if text.strip() else page
    style = paragraph.find(f"{_WORD}pPr/{_WORD}pStyle")
    heading = style is not None and style.get(f"{_WORD}val", "").lower().startswith("heading")
    return ("# " if heading else "") + text, begun, page
