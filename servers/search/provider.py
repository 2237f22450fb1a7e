"""Search providers: the one shape of a question and of an answer, and who may be asked."""

import html
import re
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

Freshness = Literal["day", "week", "month", "year"]
SafeSearch = Literal["off", "moderate", "strict"]
_TAG = re.compile(r"<[^<>]{0,200}>")


@dataclass(frozen=True)
class Question:
    """What to search.

    Args:
        text: The words.
        count: Most results.
        page: From 1.
        freshness: How new results must be, or None.
        region: Country and language, such as `de-de`, or None.
    """

    text: str
    count: int
    page: int
    freshness: Freshness | None
    region: str | None
    safe: SafeSearch

    def country(self) -> str | None:
        """Return the country's code in upper case."""
        return self.region.split("-")[0].upper() if self.region else None

    def language(self) -> str | None:
        """Return the language's code in lower case."""
        return self.region.split("-")[1].lower() if self.region else None


class Hit(BaseModel):
    """One result."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    title: str
    """The page's title."""
    url: str
    """Its address; give it to `fetch`."""
    snippet: str
    """What the provider quotes of it."""
    published: str | None = None
    """When it was published, as the provider says."""


class Provider(Protocol):
    """Somebody who searches the web."""

    @property
    def name(self) -> str:
        """What errors and results call it."""
        ...

    async def search(self, question: Question) -> list[Hit]:
        """Return results, best first.

        Raises:
            RefusalError: It cannot answer.
        """
        ...


def plain_text(marked: object) -> str:
    """Return a title or snippet without markup and on one line."""
    text = html.unescape(_TAG.sub("", str(marked or "")))
    return " ".join(text.split())
