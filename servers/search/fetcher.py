"""Fetches a page and returns its text in slices; a page already parsed is sliced from the cache."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from servers.cache import Cache
from servers.search.reader import Document, Kind, Reader
from servers.search.web import Resource, Web, check_url
from servers.tool import RefusalError

_HTML = {"text/html", "application/xhtml+xml"}
_TEXT = {
    "application/json",
    "application/xml",
    "application/javascript",
    "application/x-yaml",
    "application/yaml",
    "application/toml",
    "application/rtf",
    "",
}


class Page(BaseModel):
    """A slice of a page's text."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    url: str
    """Where it was found, after redirects."""
    title: str | None
    """As the page names itself."""
    content_type: str
    """The media type that the site stated."""
    text: str
    """The slice: Markdown for HTML, text with page markers for PDF, else as it is."""
    start: int
    """Where the slice begins, in characters."""
    total_chars: int
    """Length of the whole text."""
    next_start: int | None
    """Give this as `start` for the next slice; null at the end."""
    pages: int | None
    """Number of pages of a PDF."""
    cut: bool
    """Whether the text was longer than this server keeps."""


@dataclass(frozen=True)
class Parsed:
    """A fetched page with its whole text."""

    resource: Resource
    document: Document


@dataclass(frozen=True)
class Fetcher:
    """Gets, parses, remembers and slices."""

    web: Web
    reader: Reader
    cache: Cache[Parsed]

    async def fetch(self, url: str, *, start: int, max_chars: int, raw: bool) -> Page:
        """Return one slice of the text at `url`.

        Args:
            url: http or https, on the public internet.
            start: First character.
            max_chars: Longest slice.
            raw: The source of an HTML page instead of its text as Markdown.

        Raises:
            RefusalError: It cannot be had, or `start` lies behind its end.
        """
        parsed = await self._parsed(check_url(url), raw=raw)
        text = parsed.document.text
        if start and start >= len(text):
            raise RefusalError(
                f"The text of {url} has {len(text)} characters; there is none at {start}.",
                "Start below that.",
            )
        end = min(start + max_chars, len(text))
        return Page(
            url=parsed.resource.url,
            title=parsed.document.title,
            content_type=parsed.resource.content_type,
            text=text[start:end],
            start=start,
            total_chars=len(text),
            next_start=end if end < len(text) else None,
            pages=parsed.document.pages,
            cut=parsed.document.cut,
        )

    async def _parsed(self, url: str, *, raw: bool) -> Parsed:
        known = self.cache.get((url, raw))
        if known is not None:
            return known
        got = await self.web.get(url, is_readable)
        kind = _kind(got, raw=raw)
        document = await self.reader.read(got.body, kind, url=got.url, charset=got.charset)
        # The bytes are not needed any more; the text is what a further slice asks for.
        parsed = Parsed(Resource(got.url, got.content_type, got.charset, b""), document)
        self.cache.put((url, raw), parsed, size=4 * len(document.text) + 1000)
        return parsed


def is_readable(content_type: str) -> bool:
    """Tell whether text can be made of this media type."""
    return (
        content_type in _HTML | _TEXT
        or content_type == "application/pdf"
        or content_type.startswith("text/")
        or content_type.endswith(("+json", "+xml"))
    )


def _kind(resource: Resource, *, raw: bool) -> Kind:
    # What the body is outranks what the site calls it: PDFs are often served as something else.
    if resource.body.startswith(b"%PDF-"):
        return "pdf"
    if resource.content_type == "application/pdf":
        raise RefusalError(
            f"{resource.url} says it is a PDF, but it is not.", "Try another source."
        )
    opening = resource.body[:500].lstrip().lower()
    untyped = not resource.content_type and opening.startswith((b"<!doctype html", b"<html"))
    if not raw and (resource.content_type in _HTML or untyped):
        return "html"
    if b"\0" in resource.body[:8000] and not resource.charset:
        raise RefusalError(f"{resource.url} is not text.", "Try another source.")
    return "text"
